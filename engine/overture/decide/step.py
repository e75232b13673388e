"""The pure step: (contact state, fact, plan) → (new state, effects, trace).

It reads no clock, no network, no store; the same arguments give the same answer. Live traffic, tests under a virtual
clock, backtests and explanations all go through here, and nothing else decides. What time it is, the contact's own
clock says, which facts move on; ``now`` is only noted down.

Order within a step: what the fact itself says (identify, consent, outcome of a message), then the rules on it, all
against the state as it stood before the first of them acted; then the segments whose inputs changed; then, one by
one, the facts derived on the way, until nothing fires.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from overture.decide import holdings
from overture.decide.carried import named
from overture.decide.clockwork import begin
from overture.decide.intrinsic import apply_fact
from overture.decide.limits import DERIVED_LIMIT, MESSAGE_BYTES
from overture.decide.merge import forward, link, told
from overture.decide.plan import Plan
from overture.decide.work import Work
from overture.model import ChainTooDeep, Contact, Effect, Fact, Firing, Step, Trace
from overture.rules.ruleset import ScoreDecl

DEPTH_LIMIT = 16  # derived facts of derived facts of …
_canonical = msgspec.msgpack.Encoder(order="sorted")


def step(contact: Contact, fact: Fact, plan: Plan, now: int) -> Step:
    """Decide one fact for one contact (a new one is ``Contact(id)``). ``contact`` itself is not changed.

    ``now`` is when this is decided, in ms; nothing but `Trace.at` depends on it.

    If derived facts do not come to rest, everything that rules did is rolled back: the trace carries the error, and
    only what the fact itself says is kept, and the segments that follow from it.
    """
    if fact.type == "$tick":
        return Step(contact, Trace(contact.seq, fact, contact.program, now), kept=False)
    if fact.type == "$link":
        return link(contact, fact, now)
    if contact.merged_into:
        return forward(contact, fact, now)
    try:
        return _decide(contact, fact, plan, now, rules=True)
    except ChainTooDeep as error:
        outcome = _decide(contact, fact, plan, now, rules=False)
        outcome.trace.error = f"{error.code}: {error.message}"
        return outcome


def _decide(before: Contact, fact: Fact, plan: Plan, now: int, *, rules: bool) -> Step:
    contact = begin(before, fact)
    work = Work(contact, fact, plan.program)
    trace = Trace(contact.seq, told(fact) if fact.type == "$merge" else fact, plan.version, now)
    if not contact.created_at:
        contact.created_at = contact.clock
    if not contact.weight:
        contact.weight = holdings.weigh(contact)
    if contact.program != plan.version:
        if before.seq:
            trace.effects = _catch_up(work, plan)
        else:
            work.changed.add("*")
        contact.program = plan.version
    trace.effects += apply_fact(work, fact)
    trace.seq = contact.seq
    if rules:
        _chain(work, plan, trace.firings)
    else:
        trace.effects += _settle(work, plan, "rolled_back")
    if work.messages:
        seen = context_of(contact, plan.program.scores)
        for message in work.messages:
            template = plan.program.template(message.ruleset, message.revision, message.template)
            if template is not None and contact.weight > MESSAGE_BYTES:
                message.context.update(named(seen, template))
            else:
                message.context.update(seen)
    return Step(contact, trace, work.messages, [], work.scores, work.segments)


def _chain(work: Work, plan: Plan, firings: list[Firing]) -> None:
    """Show the fact, then every derived one, to the rules; after each, bring the segments up to date."""
    queue = work.queue
    queue.insert(0, work.root)
    depths = {work.root.id: 0}
    fired: set[bytes] = set()
    i = 0
    while i < len(queue):
        fact = work.current = queue[i]
        if i:
            depth = depths[fact.id] = depths.get(fact.cause, 0) + 1
            if depth > DEPTH_LIMIT or i > DERIVED_LIMIT:
                raise ChainTooDeep(f"Derived facts do not come to rest: {_path(fact, queue)}.")
        if fact.type in plan.types:
            _fire(work, plan, fact, firings, fired if i else None)
        if work.changed:
            _update_segments(work, plan, fact, firings)
        i += 1


def _fire(work: Work, plan: Plan, fact: Fact, firings: list[Firing], fired: set[bytes] | None) -> None:
    for rule in plan.matcher.match(fact, work.contact):
        if fired is not None:
            # Refraction: a rule fires once on the same derived fact, however often it is derived in this step.
            mark = _canonical.encode((rule.id, fact.type, fact.properties))
            if mark in fired:
                continue
            fired.add(mark)
        refused = plan.held_back_by(rule, fact, work)
        if refused:
            firings.append(Firing(rule.id, rule.revision, fact.id, [Effect("once_per", rule.name, reason=refused)]))
            continue
        effects: list[Effect] = []
        for act in plan.actions[rule.id]:
            effects += act(work, fact, rule.id, rule.revision)
        firings.append(Firing(rule.id, rule.revision, fact.id, effects))


def _update_segments(work: Work, plan: Plan, fact: Fact, firings: list[Firing]) -> None:
    """Re-evaluate the segments that read something that changed, and run what entering and leaving sets off."""
    for _ in range(DEPTH_LIMIT):
        changed, work.changed = work.changed, set()
        moved: list[tuple[str, bool, list[Effect]]] = [(name, entered, []) for name, entered in work.edges]
        work.edges.clear()
        every = "*" in changed
        for segment, holds, reads in plan.computed:
            if every or not reads.isdisjoint(changed):
                effect = work.move_segment(segment.name, holds(fact, work.contact))
                if effect:
                    moved.append((segment.name, bool(effect.after), [effect]))
                    work.edges.pop()
        for name, entered, effects in moved:
            segment = plan.segments[name]
            rule = f"{segment.ruleset}/{name}.{'on_enter' if entered else 'on_leave'}"
            for act in plan.edges[name, entered]:
                effects += act(work, fact, rule, segment.revision)
            if effects:
                firings.append(Firing(rule, segment.revision, fact.id, effects))
        if not work.changed:
            return
    raise ChainTooDeep("Segments do not come to rest: each change of one sets off a change of another.")


def _catch_up(work: Work, plan: Plan) -> list[Effect]:
    """A new revision became active since this contact's last fact: bring its segments up to date, silently.

    A deploy must not mail everybody by surprise, so nothing that entering or leaving sets off is run.
    """
    contact = work.contact
    effects = [Effect("segment", name, "deploy", True, False) for name in contact.segments if name not in plan.segments]
    for effect in effects:
        del contact.segments[effect.name]
        work.segments.add(effect.name)
    return effects + _settle(work, plan, "deploy")


def _settle(work: Work, plan: Plan, why: str) -> list[Effect]:
    """Bring every segment up to date without running what entering and leaving set off."""
    effects: list[Effect] = []
    for segment, holds, _ in plan.computed:
        if effect := work.move_segment(segment.name, holds(work.root, work.contact)):
            effects.append(Effect("segment", segment.name, why, effect.before, effect.after))
    work.edges.clear()
    work.changed.clear()
    work.queue.clear()
    return effects


def context_of(contact: Contact, declared: Mapping[str, ScoreDecl]) -> dict[str, Any]:
    """What a template may read beside the fact: the contact as conditions see it, and the codes issued to it."""
    unset: dict[str, Any] = {name: {} if decl.per else 0 for name, decl in declared.items()}
    return {
        "contact": {
            **contact.traits,
            "id": contact.id,
            "scores": {**unset, **contact.scores},
            "segments": sorted(contact.segments),
            "lists": sorted(contact.lists),
        },
        "issued": {i.kind: {**i.properties, "code": i.code} for i in contact.issued},
    }


def _path(fact: Fact, queue: list[Fact]) -> str:
    by_id = {f.id: f for f in queue}
    types = [fact.type]
    while (fact := by_id.get(fact.cause)) is not None and len(types) <= DEPTH_LIMIT:  # type: ignore[assignment]
        types.append(fact.type)
    return " → ".join(reversed(types[:6]))
