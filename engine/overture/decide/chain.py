"""From fact to fact: the rules on the one at hand, the segments that follow, and whatever was derived on the way."""

from __future__ import annotations

import msgspec

from overture.decide.choosing import asked_for
from overture.decide.follow import follow
from overture.decide.limits import DEPTH_LIMIT, DERIVED_LIMIT, EFFECTS
from overture.decide.plan import Plan
from overture.decide.work import Work
from overture.model import ChainTooDeep, Effect, Fact, Firing
from overture.rules.ruleset import Rule

_canonical = msgspec.msgpack.Encoder(order="sorted")


def chain(work: Work, plan: Plan, firings: list[Firing]) -> None:
    """Show the fact, then every derived one, to the rules; after each, bring the segments up to date, then journeys."""
    queue = work.queue
    queue.insert(0, work.root)
    depths = {work.root.id: 0}
    fired: set[bytes] = set()
    journeys = plan.journeys
    i = 0
    while i < len(queue):
        fact = work.current = queue[i]
        if i:
            depth = depths[fact.id] = depths.get(fact.cause, 0) + 1
            if depth > DEPTH_LIMIT or i > DERIVED_LIMIT:
                raise ChainTooDeep(f"Derived facts do not come to rest: {_path(fact, queue)}.")
        if fact.type in plan.types:
            if plan.recorders:
                for recorder in plan.recorders.get(fact.type, ()):
                    recorder.record(work, fact)
            if work.contact.examples and plan.learning is not None:
                plan.learning.observe(work, fact)
            _fire(work, plan, fact, firings, fired if i else None)
        if work.changed:
            follow(work, plan, fact, firings)
        if journeys is not None:
            journeys.go_on(work, fact, lambda by: follow(work, plan, by, firings), firings)
        if work.contact.choices and plan.choosing is not None:
            plan.choosing.see(work, fact)
        if fact.choices and not i:
            work.notes += asked_for(work, plan.choosing)
        i += 1


def witness(work: Work, plan: Plan, fact: Fact) -> None:
    """Remember a fact as the rules on it would have done, though none of them is to act."""
    for recorder in plan.recorders.get(fact.type, ()):
        recorder.record(work, fact)
    if work.contact.examples and plan.learning is not None:
        plan.learning.observe(work, fact)
    if plan.joins and fact.type in plan.types:
        for rule in plan.matcher.match(fact, work.contact):
            if rule.join is not None:
                plan.joins[rule.id].see(fact, work.contact, work.links)


def _fire(work: Work, plan: Plan, fact: Fact, firings: list[Firing], fired: set[bytes] | None) -> None:
    if _cut_short(work):
        return
    matched = plan.matcher.match(fact, work.contact)
    if plan.joins:
        matched = [rule for rule in matched if rule.join is None or _joined(work, plan, rule, fact)]
    telling = work.telling
    visit = telling.visits.get(fact.id) if telling is not None else None
    for rule in matched:
        id = rule.id
        if _cut_short(work):
            return
        if fired is not None:
            # Refraction: a rule fires once on the same derived fact, however often it is derived in this step.
            mark = _canonical.encode((id, fact.type, fact.properties))
            if mark in fired:
                continue
            fired.add(mark)
        again = visit is not None and id in visit.fired
        refused = "" if again else plan.remember_firing(rule, fact, work)
        if refused:
            firings.append(Firing(id, rule.revision, fact.id, [Effect("once_per", rule.name, reason=refused)]))
            work.effects += 1
            continue
        if telling is not None and visit is not None:
            telling.begin(visit, id)
        effects: list[Effect] = []
        for act in plan.actions[id]:
            effects += act(work, fact, id, rule.revision)
        work.effects += 1 + len(effects)
        if telling is not None:
            telling.pause()
        firings.append(Firing(id, rule.revision, fact.id, effects))


def _cut_short(work: Work) -> bool:
    """Whether rules have done as much in this step as they may; noted down once."""
    if work.effects < EFFECTS:
        return False
    if not work.notes or work.notes[-1].kind != "step":
        work.notes.append(Effect("step", "cut_short", reason="step.too_many_effects"))
    return True


def _joined(work: Work, plan: Plan, rule: Rule, fact: Fact) -> bool:
    """Whether the fact completes the rule's join; where that could not be found out, it is noted down."""
    if plan.joins[rule.id].see(fact, work.contact, work.links):
        return True
    if work.links.spent and len(work.notes) < EFFECTS:
        work.notes.append(Effect("join", rule.id, reason="join.too_costly"))
    return False


def _path(fact: Fact, queue: list[Fact]) -> str:
    by_id = {f.id: f for f in queue}
    types = [fact.type]
    while (fact := by_id.get(fact.cause)) is not None and len(types) <= DEPTH_LIMIT:  # type: ignore[assignment]
        types.append(fact.type)
    return " → ".join(reversed(types[:6]))
