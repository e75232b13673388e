"""Outcomes of splits that look for a winner: each contact counts once, a fixed time after it went its way.

Who counted as soon as the goal was reached, and the others only when their time is over, would make a way that is fast
look like one that is good; so all count at the same age, those who reached the goal and those who did not.
"""

from __future__ import annotations

from msgspec.structs import replace

from overture.decide import limits
from overture.decide.work import Work
from overture.model import Contact, Effect, Exposure, Position
from overture.rules.journey import Journey, Split

EXPOSURES = "exposures"
"""The path that changes where a contact is to be counted."""

REACHED, MISSED = "reached", "missed"


def expose(work: Work, journey: Journey, split: Split, position: Position) -> None:
    """The position has just gone its way for the first time. Not counted: who is held out and gets no messages, and
    recorded history, in which nothing was sent.
    """
    if split.contest is None or position.holdout or work.root.backfill:
        return
    contact, id = work.contact, f"{journey.id}.{split.id}"
    known = contact.exposures.pop(id, None)
    if known is None or known.edition != journey.edition:
        due = contact.clock + split.contest.within_ms
        known = Exposure(journey.edition, position.revision, position.variants[split.id], due)
        work.touched.add(EXPOSURES)
    contact.exposures[id] = known
    if len(contact.exposures) > limits.EXPOSED:
        del contact.exposures[next(iter(contact.exposures))]


def reach(contact: Contact, journey: Journey, position: Position) -> None:
    """The position has reached the goal."""
    for split, way in position.variants.items():
        known = contact.exposures.get(id := f"{journey.id}.{split}")
        if known is not None and (known.edition, known.way) == (journey.edition, way) and contact.clock < known.due:
            contact.exposures[id] = replace(known, reached=True)


def count(work: Work) -> list[Effect]:
    """Those whose time is over: each counts with what it has come to."""
    contact, effects = work.contact, list[Effect]()
    for id, known in contact.exposures.items():
        if 0 < known.due <= contact.clock:
            effects.append(Effect("outcome", id, known.way, None, REACHED if known.reached else MISSED))
            contact.exposures[id] = replace(known, due=0)
            work.touched.add(EXPOSURES)
    return effects


def next_count(contact: Contact) -> int | None:
    """When the first of them counts."""
    return min((known.due for known in contact.exposures.values() if known.due), default=None)


def take_over(work: Work, theirs: Contact) -> None:
    """Who becomes known goes on being counted; who was under way as both counts as what it was first here."""
    for id, known in theirs.exposures.items():
        work.contact.exposures.setdefault(id, known)
    work.touched.add(EXPOSURES)
