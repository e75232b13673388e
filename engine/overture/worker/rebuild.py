"""Series of contacts who were there before anybody asked for them, made from the record of their facts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from overture.decide.erasure import ERASE
from overture.decide.rebuilding import Rebuilding
from overture.model.ids import partition_of
from overture.model.series import Series
from overture.records.recorded import Recording
from overture.rules.program import Program
from overture.state import contacts
from overture.state.wire import Wire

BREATH = 256  # facts between two pauses

Wanted = dict[str, tuple[str, int]]
"""Contact → the one whose series its facts belong to, and the version at which it took them in; 0: they are its own."""


async def rebuild(
    wire: Wire,
    archive: Path,
    partitions: int,
    p: int,
    ids: Collection[str],
    program: Program,
    fresh: Collection[str],
    share: float,
) -> Mapping[str, Mapping[str, Series]]:
    """Contact → the series that its recorded facts make, with those of contacts that were merged into it before.

    Reads the partition's record once, and those of the partitions where such contacts were. ``share``: of the time of
    a processor, at most. Raises StoreUnavailable, OSError.
    """
    states = await contacts.load(wire, p, list(ids))
    clocks = {id: state.clock for id, state in states.items()}
    making = Rebuilding(program, fresh)
    wanted: dict[int, Wanted] = {p: {id: (id, 0) for id in ids}}
    while wanted:
        q, theirs = wanted.popitem()
        recording = await Recording.open(wire, archive, q)
        merged = await asyncio.to_thread(_read, recording, theirs, clocks, making, share)
        for contact, place in merged.items():
            wanted.setdefault(partition_of(contact, partitions), {})[contact] = place
    return {id: made for id in ids if (made := making.of(id))}


def _read(recording: Recording, wanted: Wanted, clocks: Mapping[str, int], making: Rebuilding, share: float) -> Wanted:
    """Show the facts of some contacts; answers those that were merged into them, by whom it was decided when."""
    merged: Wanted = {}
    merges: dict[str, list[str]] = {}
    left: set[str] = set()
    began = time.perf_counter()
    for n, (_, _, fact, version) in enumerate(recording.facts(), 1):
        if n % BREATH == 0:
            time.sleep((time.perf_counter() - began) * (1 / share - 1))
            began = time.perf_counter()
        place = wanted.get(fact.contact)
        if place is None:
            continue
        target, decided = place
        if fact.type == ERASE and fact.contact == target:
            making.forget(target)
            left.discard(target)
            for name in merges.pop(target, ()):
                merged.pop(name, None)
        elif fact.contact in left:
            continue
        elif fact.type in ("$link", ERASE):
            left.add(fact.contact)  # what comes later is in the other contact's record, or another contact's
        elif fact.type == "$merge":
            merged[fact.properties["from"]] = (target, decided or version)
            merges.setdefault(fact.contact, []).append(fact.properties["from"])
        else:
            making.show(target, fact, decided or version, clocks[target])
    return merged
