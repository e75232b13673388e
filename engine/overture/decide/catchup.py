"""What follows a contact's state, brought up to date in silence: after a deploy, and where a step was rolled back."""

from __future__ import annotations

from overture.decide import holds, redeployed
from overture.decide.deploys import PROGRAM, begin_series, fill
from overture.decide.history import drop_unneeded
from overture.decide.limits import DEPTH_LIMIT
from overture.decide.plan import Plan
from overture.decide.work import Work
from overture.model import Effect, Fact
from overture.model.decay import place, ranking, tidy

_EDGES = ("segment.entered", "segment.left")


def catch_up(work: Work, plan: Plan, fact: Fact) -> list[Effect]:
    """Other revisions became active since this contact's last fact: bring its segments up to date, silently.

    A deploy must not mail everybody by surprise, so nothing that entering or leaving sets off is run, unless the
    revision declares that it is to be (``on_activate: apply``).
    """
    contact = work.contact
    drop_unneeded(contact, plan.program.series)
    begin_series(work, plan)
    if fact.type == PROGRAM:
        fill(work, plan, fact)
    joins = {joining.id for joining in plan.joins.values()}
    contact.joins = {id: parts for id, parts in contact.joins.items() if id in joins}
    if plan.sessions is None:
        contact.sessions = []
    if contact.examples:
        contact.examples = {} if plan.learning is None else plan.learning.still_asked(contact)
    effects = [*redeployed.redeploy(work, plan.journeys), *holds.catch_up(work, plan.holdings)]
    gone = [Effect("segment", name, "deploy", True, False) for name in contact.segments if name not in plan.segments]
    for effect in gone:
        del contact.segments[effect.name]
        work.segments.add(effect.name)
    _restamp(work, plan)
    return effects + gone + settle(work, plan, "deploy")


def go_on(work: Work, plan: Plan, fact: Fact) -> list[Effect]:
    """``$program`` for a contact that has caught up before: what recorded facts say is still to be taken in."""
    fill(work, plan, fact)
    return settle(work, plan, "deploy") if work.touched else []


def _restamp(work: Work, plan: Plan) -> None:
    """Scores begin to decay, or no longer do: from now on, and with another place in the ranking."""
    contact = work.contact
    for name, score in contact.scores.items():
        if name not in plan.half_lives and name not in contact.stamps:
            continue
        half_life, stamps = plan.half_lives.get(name, 0), contact.stamps.pop(name, {})
        keyed = score if isinstance(score, dict) else {"": score}
        since = stamps if isinstance(stamps, dict) else {"": stamps}
        if half_life:
            since = {key: since.get(key, contact.clock) for key in keyed}
            contact.stamps[name] = since if isinstance(score, dict) else since[""]
        else:
            keyed = {key: tidy(value) for key, value in keyed.items()}
            contact.scores[name] = keyed if isinstance(score, dict) else keyed[""]
        for key, value in keyed.items():
            work.scores[ranking(name, key)] = place(value, since.get(key, 0), half_life)


def settle(work: Work, plan: Plan, why: str) -> list[Effect]:
    """Bring every segment and ``while`` up to date without running what entering and leaving set off.

    After a deploy, that of the rulesets which ask for it is left to be run.
    """
    effects: list[Effect] = []
    work.touched.add("*")
    for _ in range(DEPTH_LIMIT):
        known = len(effects)
        for holding in plan.holdings.values():
            effects += holding.follow(work, work.root)
        for segment, test, _reads in plan.computed:
            inside = test(work.root, work.contact)
            if inside is not None and (effect := work.move_segment(segment.name, inside)):
                effects.append(Effect("segment", segment.name, why, effect.before, effect.after))
        if len(effects) == known or not plan.holdings:
            break
    # What a test gives its contact was there before; it did not come with a deploy.
    applied = plan.applied if why == "deploy" and work.root.type != "$given" else frozenset[str]()
    work.edges = [edge for edge in work.edges if edge[0] in applied]
    work.changed = {f"segments.{name}" for name, _ in work.edges}
    work.queue[:] = [f for f in work.queue if f.type in _EDGES and f.properties["name"] in applied]
    return effects
