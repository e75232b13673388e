"""The contact's own clock: what is decided goes by it, never by when a worker gets to it."""

from __future__ import annotations

from overture.decide.history import evict
from overture.decide.plan import Plan
from overture.decide.visits import end_due
from overture.decide.work import Work
from overture.model import Contact, Fact


def begin(before: Contact, fact: Fact) -> Contact:
    """A working copy for one more fact, its clock at the instant at which the fact is decided."""
    contact = before.copy()
    contact.seq += 1
    if fact.backfill and before.clock <= before.backfilled:
        contact.backfilled = max(before.backfilled, fact.accepted_at)
    contact.clock = max(before.clock, fact.instant)
    contact.updated_at = contact.clock
    return contact


def tick(contact: Contact, at: int, root: Fact) -> Fact:
    """The fact that an instant has come, on the way to ``root``. Nothing is sent for what is history by then."""
    backfill = root.backfill or at <= contact.backfilled
    return Fact(f"tick:{at}", "$tick", contact.id, at, at, backfill=backfill)


def pass_time(work: Work, plan: Plan) -> None:
    """The clock has come to an instant at which something is due."""
    evict(work.contact, plan.program.series)
    work.changed.add("clock")
    if plan.sessions is not None:
        end_due(work, plan.sessions)


def reschedule(work: Work, plan: Plan) -> None:
    """Find out when something is due next, if this step may have changed that."""
    if plan.journeys is not None:
        plan.journeys.move_house(work)
    contact = work.contact
    touched = work.touched
    if "*" not in touched and plan.timed.isdisjoint(touched):
        return
    every = contact.due or "*" in touched  # where nothing was due, what was not touched has nothing now
    due = 0
    for reads, change in plan.changes:
        if (every or not reads.isdisjoint(touched)) and (at := change(contact)) is not None:
            due = min(due, at) if due else at
    contact.due = due
