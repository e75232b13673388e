"""Outcomes of splits that look for a winner: each contact counts once, a fixed time after it went its way.

Who counted as soon as the goal was reached, and the others only when their time is over, would make a way that is fast
look like one that is good; so all count at the same age, those who reached the goal and those who did not.

What is known of a contact is kept by split and edition of the journey: where an earlier edition is active once more,
who counted in it does not count in it again.
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


def key_of(journey: Journey, split: str) -> str:
    return f"{journey.id}.{split}#{journey.edition}"


def known_way(contact: Contact, journey: Journey, split: str) -> str:
    """The way that the contact counts for, whoever it was when it went it; empty where it does not."""
    known = contact.exposures.get(key_of(journey, split))
    return known.way if known is not None else ""


def expose(work: Work, journey: Journey, split: Split, position: Position) -> None:
    """The position has just gone its way for the first time. Not counted: who is held out and gets no messages, and
    recorded history, in which nothing was sent.
    """
    if split.contest is None or position.holdout or work.root.backfill:
        return
    contact, key = work.contact, key_of(journey, split.id)
    known = contact.exposures.pop(key, None)
    if known is None:
        known = Exposure(position.variants[split.id], contact.clock + split.contest.within_ms)
        work.touched.add(EXPOSURES)
    contact.exposures[key] = known
    _bound(contact)


def reach(contact: Contact, journey: Journey) -> None:
    """A position in the journey has reached the goal. That counts for the way that the contact was sent, even where the
    position went another one (as somebody who has become known since): else the rarer way would lose more of its own.
    """
    for key, known in contact.exposures.items():
        of_this = key.startswith(f"{journey.id}.") and key.endswith(f"#{journey.edition}")
        if of_this and contact.clock < known.due:
            contact.exposures[key] = replace(known, reached=True)


def count(work: Work) -> list[Effect]:
    """Those whose time is over: each counts with what it has come to."""
    contact, effects = work.contact, list[Effect]()
    for key, known in contact.exposures.items():
        if not known.counted and known.due <= contact.clock:
            split, _, edition = key.rpartition("#")
            effects.append(Effect("outcome", split, known.way, edition, REACHED if known.reached else MISSED))
            contact.exposures[key] = replace(known, counted=True)
            work.touched.add(EXPOSURES)
    return effects


def next_count(contact: Contact) -> int | None:
    """When the first of them counts."""
    return min((known.due for known in contact.exposures.values() if not known.counted), default=None)


def take_over(work: Work, theirs: Contact) -> None:
    """Who becomes known counts as what it was first, here or there, and goes that way from now on."""
    mine = work.contact.exposures
    for key, known in theirs.exposures.items():
        own = mine.get(key, known)
        first = min(own, known, key=lambda each: each.due)
        mine[key] = replace(first, counted=own.counted or known.counted)
    work.touched.add(EXPOSURES)
    _bound(work.contact)


def _bound(contact: Contact) -> None:
    while len(contact.exposures) > limits.EXPOSED:
        del contact.exposures[next(iter(contact.exposures))]
