"""Journeys: who is on one goes on, whoever may begin one begins it.

Each posted, derived and due fact comes to the positions after the rules, and after what follows from these. For each:
does it begin anew, is its goal reached, does it end, is its wait over? A position goes on until it waits or ends. Then
come those who enter, and what actions have started. Time alone moves a position at `Position.due`, at its own instant.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from overture.decide import limits, room
from overture.decide.course import NOTHING, Acting, Choosing, Course, Parting, Staying
from overture.decide.exposures import expose, known_way, reach
from overture.decide.gatekeeping import held_out
from overture.decide.positions import JOURNEYS, ended, gone, leave
from overture.decide.work import Work
from overture.model import ChainTooDeep, Contact, Effect, Fact, Firing, Position
from overture.model.ids import digest
from overture.rules.journey import END, Way
from overture.rules.program import Program

Follow = Callable[[Fact], None]
"""What follows from the actions of a step: segments, and rules with ``while``."""


class Journeys:
    """All journeys of a program. ``older``: those of earlier revisions on which contacts are still to finish."""

    def __init__(self, program: Program) -> None:
        self.active = {id: Course(journey, program) for id, journey in program.journeys.items()}
        self.older = {key: Course(journey, program) for key, journey in program.older.items()}
        self.holdouts = {r.name: r.holdout for r in program.rulesets.values() if r.holdout}
        every = (*self.active.values(), *self.older.values())
        self.contested = any(isinstance(s, Parting) and s.split.contest for c in every for s in c.steps.values())
        self.reads = frozenset[str]().union(*(c.reads for c in every))
        self.entered: dict[str, list[Course]] = {}
        for course in self.active.values():
            for type in course.journey.enter_types if course.enters is not None else ():
                self.entered.setdefault(type, []).append(course)

    @classmethod
    def of(cls, program: Program) -> Journeys | None:
        """None where there are none: then no fact pays for them."""
        return cls(program) if program.journeys or program.older else None

    def course(self, position: Position) -> Course | None:
        """What the position goes by; None until the contact has been brought up to date after an activation."""
        course = self.active.get(position.journey)
        if course is not None and course.revision == position.revision:
            return course
        return self.older.get((position.journey, position.revision))

    def next_change(self, contact: Contact) -> int | None:
        """When time alone may next change whether somebody's wait or journey is over."""
        soonest: int | None = None
        for position in contact.journeys:
            if (course := self.course(position)) is None:
                continue
            step = course.steps[position.step]
            waited = (step.change,) if isinstance(step, Staying) and step.change is not None else ()
            for change in (*course.changes, *waited):
                at = change(shown_to(NOTHING, position), contact)
                soonest = at if soonest is None or (at is not None and at < soonest) else soonest
        return soonest

    def go_on(self, work: Work, fact: Fact, follow: Follow, firings: list[Firing]) -> None:
        """Show the fact to everybody under way, then let enter who may."""
        contact = work.contact
        self.move_house(work)
        for position in contact.journeys.copy():
            if work.root.backfill and fact.occurred_at < position.entered_at:
                continue  # history posted later: it was over before this began
            if position.step != END and (course := self.course(position)) is not None:
                _Going(work, course, position, follow, firings).see(fact)
        for course in self.entered.get(fact.type, ()):
            assert course.enters is not None  # it would not be there
            if course.enters(fact, contact):
                self._enter(work, course, fact, follow, firings)
        begun = 0
        while work.starts:
            journey, by = work.starts.pop(0)
            begun += 1
            if begun > limits.POSITIONS:
                raise ChainTooDeep("Journeys do not come to rest: each one starts another.")
            if (course := self.active.get(journey)) is not None:  # an earlier revision may start what is gone
                self._enter(work, course, by, follow, firings)

    def move_house(self, work: Work) -> None:
        """Another zone has other clocks: what waits for a time on the wall waits for the one there. To be asked before
        anybody looks when waits are over.
        """
        if not work.moved:
            return
        work.moved = False
        for position in work.contact.journeys:
            course = self.course(position)
            step = course.steps[position.step] if course is not None and position.step in course.zoned else None
            if isinstance(step, Staying):
                position.due = step.due(NOTHING, work.contact, position.since) or 0
                work.touched.add(JOURNEYS)

    def give_up(self, work: Work) -> list[Effect]:
        """End what would go on now: the step in which it did was rolled back, and would be again at every fact."""
        self.move_house(work)
        going = [p for p in work.contact.journeys if self._goes_on(work, p)]
        return [ended(work, p, "rolled_back", "journey.rolled_back") for p in going]

    def _goes_on(self, work: Work, position: Position) -> bool:
        """Whether it would at whatever fact comes."""
        if 0 < position.due <= work.contact.clock:
            return True
        course = self.course(position)
        step = None if course is None else course.steps[position.step]
        if not isinstance(step, Staying) or not step.at_once or step.until is None:
            return False
        return step.until(shown_to(work.root, position), work.contact)

    def _enter(self, work: Work, course: Course, fact: Fact, follow: Follow, firings: list[Firing]) -> None:
        contact, journey = work.contact, course.journey
        fact = replace(fact, context={k: v for k, v in fact.context.items() if k not in _OWN}) if fact.context else fact
        value = None if course.key is None else course.key(fact, contact)
        key = str(value) if type(value) is int else value if type(value) is str else ""
        if course.key is not None and not key:
            firings.append(_refused(course, fact, "", "journey.no_key"))
            return
        if any(p.journey == course.id and p.key == key for p in contact.journeys):
            return
        if reason := _barred(course, contact, key):
            firings.append(_refused(course, fact, limits.shown(key), reason))
            return
        id = digest("position", contact.id, work.root.id, course.id, key)[:10].hex()
        position = Position(course.id, course.revision, id, key, contact.clock, value=value, fact=_kept(course, fact))
        position.holdout = held_out(contact, journey.ruleset, self.holdouts.get(journey.ruleset, 0))
        if course.over and any(holds(shown_to(NOTHING, position), contact) for holds in course.over):
            firings.append(_refused(course, fact, limits.shown(key), "journey.over"))
            return
        if len(contact.journeys) >= limits.POSITIONS:
            firings.append(_refused(course, fact, limits.shown(key), "journey.full"))
            return
        if reason := room.keep_position(contact, position):
            firings.append(_refused(course, fact, limits.shown(key), reason))
            return
        _Going(work, course, position, follow, firings).begin(fact)


class _Going:
    """One position that goes on, at one fact."""

    def __init__(self, work: Work, course: Course, position: Position, follow: Follow, firings: list[Firing]) -> None:
        self.work = work
        self.contact = work.contact
        self.course = course
        self.position = position
        self.follow = follow
        self.firings = firings
        self.forgotten = course.journey.reentry == "always"

    def see(self, fact: Fact) -> None:
        course, position, contact = self.course, self.position, self.contact
        shown = shown_to(fact, position)
        if course.restarts is not None and course.restarts(shown, contact):
            if room.change_position(contact, position, _kept(course, fact)):
                return self.leave(fact, "end:full", room.FULL)
            leave(self.work, position, "restart")
            position.id = digest("position", position.id, self.work.root.id)[:10].hex()
            position.planned, position.matched = self.at(fact), False
            return self.walk(fact, course.journey.first, "journey.restart")
        if course.reaches is not None and course.reaches(shown, contact):
            reach(contact, course.journey)
            return self.leave(fact, "end:goal")
        if course.exits is not None and course.exits(shown, contact):
            return self.leave(fact, "end:exit")
        step = course.steps[position.step]
        if not isinstance(step, Staying):
            if position.due <= contact.clock:  # it waited here before a deploy
                self.walk(fact, position.step, "deploy")
        elif step.until is not None and step.until(shown, contact):
            position.planned, position.matched = self.at(fact), True
            self.walk(fact, step.wait.next, "wait.until")
        elif 0 < position.due <= contact.clock:
            position.planned, position.matched = position.due, False
            self.walk(fact, step.wait.next)
        return None

    def at(self, fact: Fact) -> int:
        """When it happened: recorded history then, anything else now. What would have followed since is history too."""
        return min(fact.occurred_at, self.contact.clock) if self.work.root.backfill else self.contact.clock

    def begin(self, fact: Fact) -> None:
        self.position.entered_at = self.position.planned = self.at(fact)
        self.walk(fact, self.course.journey.first)

    def walk(self, fact: Fact, to: str, reason: str = "") -> None:
        """From the step where it stands to another one, and on until it waits or ends."""
        position, contact, steps = self.position, self.contact, self.course.steps
        effects = self._firing(fact, position.step or to)
        for _ in range(limits.JOURNEY_STEPS):
            effects.append(self._moved(to or "end:done", reason))
            reason = ""
            if to == END:
                return gone(self.work, position, self.forgotten)
            self._stand(to)
            match steps[to]:
                case Staying() as step:
                    shown = shown_to(fact, position)
                    if step.at_once and step.until is not None and step.until(shown, contact):
                        position.planned, position.matched, reason = position.since, True, "wait.until"
                    elif (due := step.due(shown, contact, position.since)) is None and step.until is None:
                        return self.leave(fact, "end:no_instant", "journey.no_instant")
                    elif not due or due > contact.clock:
                        position.due = due or 0
                        return None
                    else:
                        position.planned, position.matched = due, False
                    effects, to = self._firing(fact, to), step.wait.next
                case Acting(acts, next_):
                    effects = self._firing(fact, to)
                    self._act(fact, acts, effects)
                    if position.step != to:  # it was stopped by what it did
                        return None
                    to = next_
                case Choosing() as step:
                    effects, to = self._firing(fact, to), step.way(shown_to(fact, position), contact)
                case Parting() as step:
                    effects, way = self._firing(fact, to), self._parted(step, to)
                    reason, to = way.name, way.next
        return self.leave(fact, "end:too_many_steps", "journey.too_many_steps")

    def leave(self, fact: Fact, outcome: str, reason: str = "") -> None:
        self._firing(fact, self.position.step).append(self._moved(outcome, reason))
        leave(self.work, self.position, outcome.removeprefix("end:"))
        gone(self.work, self.position, self.forgotten)

    def _act(self, fact: Fact, acts: tuple[Callable[..., list[Effect]], ...], effects: list[Effect]) -> None:
        work, position = self.work, self.position
        shown, rule = shown_to(fact, position), f"{self.course.id}.{position.step}"
        work.position = position
        work.held_out[position.id] = position.holdout
        for act in acts:
            effects += act(work, shown, rule, self.course.revision)
        work.position = None
        if work.changed:
            self.follow(shown)

    def _parted(self, step: Parting, id: str) -> Way:
        """The way through a split: the one that it went before, else the one that has won, else the contact's own."""
        position, contact, journey = self.position, self.contact, self.course.journey
        before = position.variants.get(id, "")
        won = "" if step.winner is None else step.winner.name
        way = step.way(journey.id, id, contact.id, before or won or known_way(contact, journey, id))
        position.variants = {**position.variants, id: way.name}
        if not before and not won:
            expose(self.work, journey, step.split, position)
        return way

    def _stand(self, step: str) -> None:
        position, contact = self.position, self.contact
        if position.step == END:
            contact.journeys.append(position)
        since = position.planned if self.work.root.backfill else contact.clock
        position.step, position.since, position.due = step, since, 0
        self.work.touched.add(JOURNEYS)

    def _firing(self, fact: Fact, step: str) -> list[Effect]:
        firing = Firing(f"{self.course.id}.{step}", self.course.revision, fact.id, [])
        self.firings.append(firing)
        return firing.effects

    def _moved(self, to: str, reason: str) -> Effect:
        position = self.position
        return Effect("journey", self.course.id, limits.shown(position.key), position.step or None, to, reason)


_OWN = ("$journey", "$wait")


def shown_to(fact: Fact, position: Position) -> Fact:
    """The fact as a journey sees it: with what it knows of itself."""
    own = {"key": position.value, "entered_at": position.entered_at, "fact": position.fact}
    return replace(fact, context={**fact.context, "$journey": own, "$wait": {"matched": position.matched}})


def _kept(course: Course, fact: Fact) -> dict[str, object]:
    """What the journey reads of the fact that began it."""
    own = {"id": fact.id, "type": fact.type, "occurred_at": fact.occurred_at, "context": fact.said}
    return {name: value for name, value in {**fact.properties, **own}.items() if name in course.journey.keeps}


def _barred(course: Course, contact: Contact, key: str) -> str:
    """Why the contact may not enter again; empty if it may."""
    journey = course.journey
    ended = contact.ended.get(course.id, {}).get(key)
    if ended is None or journey.reentry == "always":
        return ""
    if journey.reentry == "after" and contact.clock - ended >= journey.reentry_ms:
        return ""
    return "journey.reentry"


def _refused(course: Course, fact: Fact, key: str, reason: str) -> Firing:
    effect = Effect("journey", course.id, key, reason=reason)
    return Firing(f"{course.id}.{course.journey.first}", course.revision, fact.id, [effect])
