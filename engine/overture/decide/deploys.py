"""``$program``: a contact that no fact of its own came for is brought up to date with the active rulesets.

After an activation a sweep puts it into the log of every contact that is not up to date yet: what it changes can be
replayed like all else.
It carries what recorded facts say about the series that contacts keep only since then: ``{"version", "of", "series"}``,
where ``of`` is the contact whose facts they are, another one where it has been merged into this contact on the way.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from msgspec.structs import replace

from overture.decide.plan import Plan
from overture.decide.work import Work
from overture.model import Contact, Fact
from overture.model.contact import SETTLE
from overture.model.series import LONGEST, Series

PROGRAM = "$program"


def arriving(contact: Contact, fact: Fact) -> Fact:
    """The fact as the contact takes it. Where recorded history is still coming in, its clock is left there: what the
    server itself puts between the recorded facts is nothing that happened at some time.
    """
    coming_in = 0 < contact.clock <= contact.backfilled and fact.accepted_at < contact.backfilled + SETTLE
    if fact.backfill or coming_in:
        return replace(fact, backfill=True, occurred_at=contact.clock)
    return fact


def shown(fact: Fact) -> Fact:
    """As the timeline and messages have it: without the series."""
    return replace(fact, properties={"version": fact.properties["version"]})


def begin_series(work: Work, plan: Plan) -> None:
    """Series that contacts keep only since the contact was decided last: note that earlier facts are missing.

    Where only more of single facts is asked for, what is known stays, because rules may already go by it.
    """
    contact = work.contact
    decided = abs(contact.program)
    contact.partial = {id: of for id, of in contact.partial.items() if id in plan.program.series}
    for id, (_, version, _) in plan.program.since.items():
        if decided < version:
            contact.history.pop(id, None)
            contact.partial[id] = [contact.id]


def fill(work: Work, plan: Plan, fact: Fact) -> None:
    """Take in what recorded facts say, for the series that began no later than the sweep was about."""
    contact, properties = work.contact, fact.properties
    of, rows = str(properties["of"]), properties.get("series", {})
    for id, (keep, version, _) in plan.program.since.items():
        if version > properties["version"]:
            continue  # a later deploy began it again; its own sweep will tell
        missing = contact.partial.get(id, [])
        told = msgspec.convert(rows[id], Series) if id in rows else Series()
        known = contact.history.get(id, Series())
        if of in missing:
            contact.partial[id] = [other for other in missing if other != of]
            if not contact.partial[id]:
                del contact.partial[id]
            if told.n:
                known = _counted(known, told)
        if known.n:
            contact.history[id] = _reaching(known, told, contact.clock - keep) if keep else known
            work.touched.add(f"history.{id}")


def _counted(known: Series, earlier: Series) -> Series:
    """The figures over all facts, with those of earlier ones."""
    if not known.n:
        return replace(earlier, at=[], values=[])
    first, last = min(known.first, earlier.first), max(known.last, earlier.last)
    total = round(known.total + earlier.total, 6)
    return replace(known, n=known.n + earlier.n, total=total, first=first, last=last)


def _reaching(known: Series, earlier: Series, cut: int) -> Series:
    """The single facts of both after ``cut``. What both know is counted once: single facts may have been kept before,
    but not as far back.
    """
    pairs: Any = Counter(_pairs(known)) | Counter(_pairs(earlier))
    kept = sorted(pair for pair in pairs.elements() if pair[0] > cut)[-LONGEST:]
    values = [value for _, value in kept] if known.values or earlier.values else []
    return replace(known, at=[at for at, _ in kept], values=values)


def _pairs(series: Series) -> list[tuple[int, float]]:
    return list(zip(series.at, series.values or [0.0] * len(series.at), strict=True))
