"""What one step did on journeys, as their funnels count it: read off the effects that tell of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from overture.decide import Plan, limits
from overture.decide.gatekeeping import held_out, waits
from overture.model import Contact, Effect, Fact, Firing, Message, Position, Step, Waiting
from overture.rules.journey import Journey, Split
from overture.state.funnel import HELD_OUT, Cell, Counts

BY_DELIVERY = {"message.sent": "sent", "message.dropped": "suppressed", "message.failed": "failed"}
"""What delivery reports of a message, as the funnel of the journey that sent it counts it."""

REASON = 64  # characters of a reason: that of a failure is a channel's

Place = tuple[str, str]  # a journey, and the key of the position as effects show it


@dataclass(slots=True)
class _Way:
    """A position, as far as the effects have told of it."""

    revision: str
    group: str
    variants: dict[str, str]
    entered_at: int


_NOWHERE = _Way("", "", {}, 0)
"""Where the effects do not add up: nothing that is only counted may stop a partition."""


def passed(counts: Counts, before: Contact, fact: Fact, outcome: Step, plan: Plan) -> None:
    """Count what a step has done on journeys; ``before`` is the contact as it stood, ``fact`` what was decided."""
    _waiting(counts, before.waiting, -1)
    _waiting(counts, outcome.contact.waiting, 1)
    if fact.source == "delivery" and fact.type in BY_DELIVERY and not outcome.forwards:
        _delivered(counts, fact)
    reading = _Reading(counts, before, fact, outcome, plan)
    for trace in outcome.traces:
        for effect in trace.effects:
            if effect.kind == "journey":
                reading.moved(effect, "")
            elif effect.kind == "outcome":
                _came_to(counts, effect)
        for firing in trace.firings:
            for effect in firing.effects:
                if effect.kind == "journey":
                    reading.moved(effect, firing.revision)
                elif effect.kind == "send":
                    reading.asked(effect, firing)
        for effect in trace.effects:  # the gate comes last
            if effect.kind == "gate":
                reading.judged(effect)


def _waiting(counts: Counts, messages: Iterable[Waiting], sign: int) -> None:
    for each in messages:
        if each.message.journey:
            counts[_of(each.message)._replace(what="waiting")] += sign


def _delivered(counts: Counts, fact: Fact) -> None:
    p = fact.properties
    if journey := p.get("journey"):
        detail = str(p.get("reason", ""))[:REASON]
        counts[Cell(journey, p["revision"], BY_DELIVERY[fact.type], p["step"], detail=detail)] += 1


def _came_to(counts: Counts, outcome: Effect) -> None:
    """By the edition of the journey: several revisions may say the same of it."""
    journey, _, split = outcome.name.rpartition(".")
    way, detail = f"{split}={outcome.key}", f"{outcome.before}:{outcome.after}"
    counts[Cell(journey, "", "outcome", split, variant=way, detail=detail)] += 1


class _Reading:
    """Goes through the effects of one step in their order."""

    def __init__(self, counts: Counts, before: Contact, fact: Fact, outcome: Step, plan: Plan) -> None:
        self.counts = counts
        self.contact = outcome.contact
        self.plan = plan
        self.under_way = {_place(p): _way(p) for p in before.journeys}
        self.theirs: dict[Place, _Way] = {}  # the same journeys of a contact that is merged into this one
        self.messages = {w.message.id: _of(w.message) for w in before.waiting if w.message.journey}
        if fact.type == "$merge":
            theirs = msgspec.convert(fact.properties["state"], Contact)
            for p in theirs.journeys:
                known = self.theirs if _place(p) in self.under_way else self.under_way
                known[_place(p)] = _way(p)
            self.messages |= {w.message.id: _of(w.message) for w in theirs.waiting if w.message.journey}
        self.held = set(self.messages)

    # --- positions ---------------------------------------------------------------------------------------------------

    def moved(self, effect: Effect, revision: str) -> None:
        """``revision``: what decided it; empty where no rule did."""
        journey, step, to = effect.name, effect.before, effect.after
        place = journey, effect.key
        if to is None:
            return  # it was not let in
        if step is None:
            percent = self.plan.journeys.holdouts.get(journey.partition("/")[0], 0) if self.plan.journeys else 0
            group = HELD_OUT if held_out(self.contact, journey.partition("/")[0], percent) else ""
            way = self.under_way[place] = _Way(revision, group, {}, self.contact.clock)
            self.count(journey, way, "entered")
        elif effect.reason == "deploy":
            if not revision:
                self.migrated(place, journey)
            return
        elif to == "end:merged":
            self.count(journey, self.merged(place, effect.reason), "ended", step, "merged")
            return
        else:
            way = self.under_way.get(place, _NOWHERE)
            self.chose(journey, way, step, effect.reason)
            if effect.reason == "journey.restart":
                self.count(journey, way, "restarted", step)
            elif to == "end:done" or not to.startswith("end:"):
                self.count(journey, way, "passed", step)
        if to.startswith("end:"):
            self.under_way.pop(place, None)
            self.count(journey, way, "ended", step or "", to.removeprefix("end:"))
        else:
            self.count(journey, way, "came", to)

    def chose(self, journey: str, way: _Way, step: str, name: str) -> None:
        """Where the step is a split, the position has gone one of its ways from now on."""
        known = self.journey(journey, way.revision)
        split = known.steps.get(step) if known is not None else None
        if not isinstance(split, Split) or all(each.name != name for each in split.ways):
            return
        if way.variants.get(step) != name:
            way.variants[step] = name
            self.counts[Cell(journey, way.revision, "entered", "", way.group, f"{step}={name}")] += 1

    def migrated(self, place: Place, journey: str) -> None:
        way, active = self.under_way.get(place), self.plan.program.journeys.get(journey)
        if way is not None and active is not None:
            self.counts[Cell(journey, way.revision, "moved_out")] += 1
            way.revision = active.revision
            self.counts[Cell(journey, way.revision, "moved_in")] += 1

    def merged(self, place: Place, reason: str) -> _Way:
        """Which of two twins has ended: the one that was entered later, or theirs where there is no room for it."""
        theirs, mine = self.theirs.pop(place, None), self.under_way.pop(place, _NOWHERE)
        if theirs is None:
            return mine
        self.under_way[place] = mine
        if reason != "journey.merged" or mine.entered_at <= theirs.entered_at:
            return theirs
        self.under_way[place] = theirs
        return mine

    def count(self, journey: str, way: _Way, what: str, step: str = "", detail: str = "") -> None:
        for variant in ("", *(f"{split}={name}" for split, name in way.variants.items())):
            self.counts[Cell(journey, way.revision, what, step, way.group, variant, detail)] += 1

    def journey(self, id: str, revision: str) -> Journey | None:
        return self.plan.program.journey(id, revision) if revision else None

    # --- messages ----------------------------------------------------------------------------------------------------

    def asked(self, effect: Effect, firing: Firing) -> None:
        """A rule or a step wants a message sent; only those of steps count."""
        journey, _, step = firing.rule.rpartition(".")
        known = self.journey(journey, firing.revision)
        if known is None or step not in known.steps:
            return
        cell = self.messages[effect.key] = Cell(journey, firing.revision, "", step)
        self.counts[cell._replace(what="messages")] += 1
        if effect.reason:
            self.counts[cell._replace(what="suppressed", detail=effect.reason)] += 1

    def judged(self, verdict: Effect) -> None:
        cell = self.messages.get(verdict.key)
        if cell is None:
            return
        if waits(verdict):
            if verdict.key not in self.held:
                self.held.add(verdict.key)
                self.counts[cell._replace(what="held")] += 1
        elif verdict.reason:
            self.counts[cell._replace(what="suppressed", detail=verdict.reason)] += 1


def _of(message: Message) -> Cell:
    return Cell(message.journey, message.revision, "", message.step)


def _place(position: Position) -> Place:
    return position.journey, limits.shown(position.key)


def _way(position: Position) -> _Way:
    group = HELD_OUT if position.holdout else ""
    return _Way(position.revision, group, dict(position.variants), position.entered_at)
