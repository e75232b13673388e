"""What becomes of those under way when another revision of their journey is active, or none any more."""

from __future__ import annotations

from overture.decide import limits
from overture.decide.course import Course, Staying
from overture.decide.journeys import Journeys, shown_to
from overture.decide.positions import JOURNEYS, ended
from overture.decide.work import Work
from overture.model import Effect, Position


def redeploy(work: Work, journeys: Journeys | None) -> list[Effect]:
    """As the revision that is active now says (``on_redeploy``). Who is to finish on an earlier one that decides no
    more goes on by the active one; without a journey of the name there is nothing to go on by.
    """
    effects: list[Effect] = []
    for position in work.contact.journeys.copy():
        active = None if journeys is None else journeys.active.get(position.journey)
        own = None if journeys is None else journeys.course(position)
        policy = "exit" if active is None else active.journey.on_redeploy
        if own is not None and (own is active or active is None or policy == "finish_on_old"):
            continue
        if active is None or policy == "exit":
            effects.append(ended(work, position, "redeployed", "journey.redeployed"))
        elif position.step not in active.steps:
            effects.append(ended(work, position, "stranded", "journey.stranded"))
        else:
            effects.append(_migrate(work, position, active))
    return effects


def _migrate(work: Work, position: Position, course: Course) -> Effect:
    """It stands where it stood, and waits as the step there says now, as if it had always said so."""
    step, contact = course.steps[position.step], work.contact
    position.revision, position.due = course.revision, contact.clock
    if isinstance(step, Staying):
        due = step.due(shown_to(work.root, position), contact, position.since)
        if due is None and step.until is None:
            return ended(work, position, "no_instant", "journey.no_instant")
        position.due = due or 0
    work.touched.add(JOURNEYS)
    return Effect("journey", course.id, limits.shown(position.key), position.step, position.step, "deploy")
