"""What follows something that changed: rules with ``while``, and segments with what entering and leaving sets off."""

from __future__ import annotations

from overture.decide.limits import DEPTH_LIMIT
from overture.decide.plan import Plan
from overture.decide.work import Work
from overture.model import ChainTooDeep, Effect, Fact, Firing


def follow(work: Work, plan: Plan, fact: Fact, firings: list[Firing]) -> None:
    """Bring them up to date, until nothing changes any more. Raises ChainTooDeep where that does not come."""
    for _ in range(DEPTH_LIMIT):
        changed, work.changed = work.changed, set()
        work.touched |= changed
        moved: list[tuple[str, bool, list[Effect]]] = [(name, entered, []) for name, entered in work.edges]
        work.edges.clear()
        every = "*" in changed
        for holding in plan.following:
            if every or not holding.reads.isdisjoint(changed):
                effects = holding.follow(work, fact)
                if effects:
                    firings.append(Firing(holding.id, holding.revision, fact.id, effects))
        for segment, holds, reads in plan.computed:
            if every or not reads.isdisjoint(changed):
                inside = holds(fact, work.contact)
                effect = None if inside is None else work.move_segment(segment.name, inside)
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
