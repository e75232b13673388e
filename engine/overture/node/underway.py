"""From positions to an explanation: where a contact stands in a journey, how that ended, why it never began. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from overture.decide.exposures import key_of
from overture.decide.journeys import shown_to
from overture.decide.sendtimes import on_the_wall
from overture.match.zone import zone_of
from overture.model import Contact, Effect, Fact, Position, Refused, Trace
from overture.model.clock import to_text
from overture.node.account import Account, Scene
from overture.rules.journey import Journey, Split, Wait
from overture.rules.program import Program
from overture.rules.reach import ZONE, fact_types
from overture.rules.report import did_you_mean
from overture.rules.spelling import spell
from overture.web.explained import Explanation, Outcome, PositionView
from overture.web.shapes import EffectView, FactView

ENDED = {
    "done": "it came to its last step",
    "goal": "its goal was reached",
    "exit": "exit_when held",
    "stopped": "an action stopped it",
    "redeployed": "a deploy ended it, or took the journey away",
    "stranded": "the new revision has no such step",
    "merged": "the contact became one with another, who was on the journey for the same key earlier",
    "no_instant": "the instant that it waits up to is missing",
    "too_many_steps": "it went through 100 steps without a wait",
    "full": "too much is kept of the contact already",
    "rolled_back": "what followed from its next step did not come to rest and was rolled back",
}
REFUSED = {
    "journey.no_key": "the value of its key is missing",
    "journey.reentry": "the contact was on it before, and `reentry` does not let it enter again, or not yet",
    "journey.over": "its goal or exit_when held already",
    "journey.full": "the contact is on as many journeys as it may be",
    "contact.full": "too much is kept of the contact already",
}


def journey_id(asked: str, known: Collection[str], active: Program) -> str:
    """The one of ``known`` (``ruleset/name``) that is asked for, by all of it or by its name.

    Raises Refused ``journey.unknown``, ``journey.ambiguous``.
    """
    ids = [asked] if asked in known else sorted(id for id in known if id.partition("/")[2] == asked)
    if not ids:
        raise unknown_journey(asked, active)
    if len(ids) > 1:
        message = f"Several journeys are called {asked}: {', '.join(ids)}."
        raise Refused("journey.ambiguous", message, "Write ruleset/journey.")
    return ids[0]


def unknown_journey(name: str, active: Program) -> Refused:
    hint = did_you_mean(name, active.journeys) or "GET /v1/journeys lists them."
    return Refused("journey.unknown", f"No active ruleset has the journey {name[:200]}.", hint, status=404)


def moves(id: str, trace: Trace) -> Iterator[tuple[str, Effect]]:
    """(fact, effect) of all that one moment had to do with a journey."""
    told = [(trace.fact.id, trace.effects), *((firing.fact, firing.effects) for firing in trace.firings)]
    for fact, effects in told:
        yield from ((fact, e) for e in effects if e.kind == "journey" and e.name == id)


def last_end(id: str, timeline: list[Trace]) -> tuple[Trace, str, Effect] | None:
    """How a position ended the last time, and at which fact; ``timeline``: newest first."""
    for trace in timeline:
        ends = [(fact, e) for fact, e in moves(id, trace) if str(e.after).startswith("end:")]
        if ends:
            return (trace, *ends[-1])
    return None


def of_standing(asked: Contact, id: str, program: Program, timeline: list[Trace]) -> Explanation:
    """Where the contact stands, at present."""
    told = [_standing(asked, p, program, timeline) for p in asked.journeys if p.journey == id]
    (first, account, fact), others = told[0], len(told) - 1
    more = f" Of {others} more, `positions` tells." if others else ""
    return _explanation(
        asked.id, id, program, "under_way", first.sentence + more,
        fact=fact, revision=first.revision, since=first.since, positions=[each for each, _, _ in told], **account.parts,
    )  # fmt: skip


def of_end(
    asked: Contact, id: str, program: Program, end: tuple[Trace, str, Effect] | None, scene: Scene | None
) -> Explanation:
    """How it ended. ``scene``: the fact at which it did, as it was decided."""
    if end is None:
        at = max(asked.ended[id].values())
        sentence = f"It ended at {local(at, asked)}; how is in the timeline no more."
        return _explanation(asked.id, id, program, "ended", sentence, since=to_text(at))
    trace, _, effect = end
    outcome = str(effect.after).removeprefix("end:")
    for_key = f" for {effect.key}" if effect.key else ""
    sentence = f"It ended{for_key} at step {effect.before}: {ENDED[outcome]}."
    account = Account()
    if scene is not None and not scene.note:
        stood = (p for p in scene.contact.journeys if (p.journey, p.key) == (id, effect.key))
        if (position := next(stood, None)) is not None:
            account = _ending(outcome, position, scene.program.journey(id, position.revision), scene)
    return _explanation(
        asked.id, id, program, "ended", sentence,
        fact=trace.fact if scene is None else scene.fact, since=to_text(trace.fact.instant), effects=[effect],
        **account.parts,
    )  # fmt: skip


def _ending(outcome: str, position: Position, journey: Journey | None, scene: Scene) -> Account:
    ends = {} if journey is None else {"goal": journey.goal, "exit": journey.exit_when}
    when = ends.get(outcome)
    return Account() if when is None else Account.of(when, shown_to(scene.fact, position), scene.contact)


def of_entry(asked: Contact, id: str, journey: Journey, scene: Scene, active: Program) -> Explanation:
    """What became of it at a fact."""
    effects = [e for fact, e in moves(id, scene.trace) if fact == scene.fact.id]
    account = Account()
    if journey.enter_when is not None:
        account = Account.of(journey.enter_when, scene.fact, scene.contact)
        held = any(e.before is None for e in effects)
        if (
            account.verdict is not None and account.verdict.holds != held
        ):  # rules on the fact have acted before it is asked
            after = Account.of(journey.enter_when, scene.fact, scene.after)
            account = after if after.verdict is not None and after.verdict.holds == held else account
    outcome, sentence = _entry(id, journey, scene, effects, account)
    return _explanation(
        asked.id, id, active, outcome, sentence,
        fact=scene.fact, state="now" if scene.note else "then", note=scene.note, decided_for=scene.decided_for,
        revision=journey.revision, effects=effects, error=scene.trace.error, **account.parts,
    )  # fmt: skip


def _entry(id: str, journey: Journey, scene: Scene, effects: list[Effect], account: Account) -> tuple[Outcome, str]:
    if any(e.before is None and e.after for e in effects):
        return "entered", f"It entered, and came to step {effects[-1].after}."
    if refused := next((e.reason for e in effects if e.before is None), ""):
        return "not_entered", f"The condition held, but {REFUSED.get(refused, 'it was refused')} ({refused})."
    if effects:
        last = str(effects[-1].after)
        to = f"ended: {ENDED[last.removeprefix('end:')]}" if last.startswith("end:") else f"went on to {last}"
        return "moved", f"It stood at step {effects[0].before} and {to}."
    if journey.enter_when is None:
        return "not_entered", "It has no enter_when: actions start it."
    if id not in scene.program.journeys:
        return "not_active", "The journey was not active when this fact was decided."
    if scene.fact.type not in journey.enter_types:
        listens = ", ".join(sorted(journey.enter_types))
        return "wrong_type", f"The fact is of type {scene.fact.type}, and the journey begins with {listens}."
    if account.verdict is not None and not account.verdict.holds:
        return "not_entered", f"It did not enter. {'' if scene.note else account.failure}".rstrip()
    if scene.trace.error:
        return "rolled_back", f"The condition held, but all that followed was rolled back: {scene.trace.error}"
    return "not_entered", "The condition held, but the contact was on the journey already."


def nothing(asked: Contact, id: str, journey: Journey, program: Program) -> Explanation:
    """It never was on the journey, and no fact is known that could have begun it."""
    if journey.enter_when is None:
        sentence = "It has no enter_when: actions start it, and none has for this contact."
        return _explanation(asked.id, id, program, "not_entered", sentence)
    types = " or ".join(sorted(journey.enter_types))
    return _explanation(asked.id, id, program, "no_fact", f"No fact of type {types} was ever decided for this contact.")


def _standing(
    contact: Contact, position: Position, program: Program, timeline: list[Trace]
) -> tuple[PositionView, Account, Fact | None]:
    journey = program.journey(position.journey, position.revision)
    step = None if journey is None else journey.steps.get(position.step)
    until = step.until if isinstance(step, Wait) else None
    account, fact = Account(), None
    if until is not None:
        types = fact_types(until)
        came = [t.fact for t in timeline if t.fact.instant >= position.since and not t.fact.type.startswith("$")]
        fact = next((f for f in came if types is None or f.type in types), came[0] if came else None)
        account = Account.of(until, shown_to(fact or Fact("", "", contact.id, 0, 0), position), contact)
    named = f" for {position.key}" if position.key else ""
    sentence = f"It stands{named} at step {position.step} since {local(position.since, contact)}"
    due = local(position.due, contact) if position.due else None
    waits = ([f"goes on at {due}"] if due else []) + ([f"as soon as {spell(until)}"] if until is not None else [])
    if step is None:
        waits = ["the next fact brings it up to date with the deploy"]
    sentence = f"{sentence} and {', or '.join(waits) if due or step is None else 'goes on ' + ' '.join(waits)}."
    for split, way in position.variants.items():
        sentence += f" At {split} it went the way {way}{_by(contact, position, journey, split, program)}."
    if account.failure:
        sentence += f" At the last fact {account.failure}" if fact is not None else f" So far {account.failure}"
    view = PositionView(
        position.key,
        position.step,
        to_text(position.entered_at),
        to_text(position.since),
        to_text(position.due) if position.due else None,
        due,
        position.revision,
        position.holdout,
        sentence,
        account.parts.get("condition"),
    )
    return view, account, fact


def _by(contact: Contact, position: Position, journey: Journey | None, split: str, program: Program) -> str:
    """What its way means to a split that looks for a winner."""
    step = None if journey is None else journey.steps.get(split)
    if journey is None or not isinstance(step, Split) or step.contest is None:
        return ""
    way, counts = position.variants[split], contact.exposures.get(key_of(journey, split))
    won = program.winner(journey, step)
    told = [", which has won"] if won is not None and won.name == way else []
    if counts is not None and counts.way == way:
        told.append(", and has been counted" if counts.counted else f", and counts at {local(counts.due, contact)}")
    return "".join(told)


def local(at: int, contact: Contact) -> str:
    """As the contact's clock shows it, with the name of its zone."""
    zone = zone_of(contact)
    name = contact.traits.get(ZONE.partition(".")[2])
    shown = on_the_wall(at, zone)
    return f"{shown} ({name})" if isinstance(name, str) and name and str(zone) == name else shown


def _explanation(
    contact: str, id: str, active: Program, outcome: Outcome, sentence: str, *, fact: Fact | None = None,
    effects: list[Effect] | None = None, **more: Any,
) -> Explanation:  # fmt: skip
    ruleset = active.rulesets.get(id.partition("/")[0])
    own: dict[str, Any] = {"decided_for": contact, "state": "now"} | more
    return Explanation(
        contact=contact,
        rule="",
        segment="",
        journey=id,
        outcome=outcome,
        sentence=sentence,
        fact=None if fact is None else FactView.of(fact),
        active_revision=None if ruleset is None else ruleset.revision,
        effects=[EffectView.of(e) for e in effects or []],
        **own,
    )
