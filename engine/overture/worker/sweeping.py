"""After an activation: the contacts for whom no fact comes are brought up to date too, in the background.

Partition by partition and page by page, in the order of their ids, each contact that is not up to date yet gets a
``$program`` into the log, in one move with the place that was reached: where a worker vanishes, the next one
goes on from there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from overture.decide.deploys import PROGRAM
from overture.model import Contact, Fact, OvertureError, clock
from overture.model.series import Series
from overture.rules.program import Program
from overture.state import contacts, keys, sweeps
from overture.state.lease import Leases
from overture.state.log import appended
from overture.state.sweeps import Sweep
from overture.state.wire import Wire
from overture.worker.partition import Partition
from overture.worker.plans import Plans
from overture.worker.rebuild import rebuild

log = logging.getLogger("overture.worker")

PAUSE = 0.25  # seconds between looks where nothing is to be done
LOOK = 0.005  # seconds between looks whether a page has been decided
PAGE = 256  # contacts at once
SLICE = 4_096  # contacts whose series are made in one reading of the record
AGAIN = 5.0  # seconds until a partition that could not be swept is tried again
SHARE = 0.2  # of the time that a sweep takes, at most
LAG = 1_000  # undecided facts of a partition above which its sweep waits

Made = Mapping[str, Mapping[str, Series]]
_Slice = tuple[tuple[int, int], int, str, Made]
"""Epoch and contacts erased under it, version of the active set, last contact, series of all."""


class Sweeper:
    """Sweeps the partitions of one worker, one page at a time."""

    def __init__(self, wire: Wire, leases: Leases, plans: Plans, archive: Path, partitions: int) -> None:
        self._wire = wire
        self._leases = leases
        self._plans = plans
        self._archive = archive
        self._partitions = partitions
        self._over: dict[int, tuple[int, int]] = {}  # partition → (epoch, version) with nothing left to do
        self._later: dict[int, float] = {}  # partition → when to try again, in the loop's time
        self._slices: dict[int, _Slice] = {}

    async def run(self, parts: dict[int, Partition]) -> None:
        """Sweep whatever is to be swept, for ever; ``parts``: those held."""
        loop = asyncio.get_running_loop()
        while True:
            worked = False
            for part in list(parts.values()):
                p, began = part.lease.partition, loop.time()
                if not self._wanted(part) or began < self._later.get(p, 0.0):
                    continue
                try:
                    worked |= await self._go_on(part, parts)
                except Exception as error:  # what it is about is one partition's; the others' deploys must arrive
                    known = isinstance(error, OvertureError | OSError)
                    log.warning("Partition %d cannot be swept now: %s", p, error, exc_info=not known)
                    self._slices.pop(p, None)
                    self._later[p] = loop.time() + AGAIN
                    continue
                took = loop.time() - began
                await asyncio.sleep(took * (1 / SHARE - 1))
            if not worked:
                await asyncio.sleep(PAUSE)

    def _wanted(self, part: Partition) -> bool:
        mark = (part.lease.epoch, part.at.version)
        return bool(part.at.version) and self._over.get(part.lease.partition) != mark

    async def _go_on(self, part: Partition, parts: dict[int, Partition]) -> bool:
        """Bring one page of contacts up to date; False where the partition has to wait."""
        p = part.lease.partition
        version = (await self._plans.program(part.at.version)).base
        sweep = await sweeps.load(self._wire, p)
        if sweep.version == version and sweep.over:
            self._over[p] = (part.lease.epoch, part.at.version)
            return True
        lag = await self._lag(p)
        if lag > LAG or (lag and part.recovering):
            return False
        part.recovering = 0  # no fact is left of those that the worker before may have died of
        if sweep.version != version:
            sweep = Sweep(version, sweep.swept)
        ids = await sweeps.page(self._wire, p, sweep.after, PAGE)
        if not ids:
            self._slices.pop(p, None)
            await self._leases.commit(part.lease, [sweeps.save(p, replace(sweep, swept=version, after=""))])
            return True
        erased = part.erased
        made = await self._series(part, sweep, ids)
        states = await contacts.load(self._wire, p, ids)
        if part.erased != erased:
            return True  # what recorded facts say is of somebody who is no more: look again
        now = clock.now()
        facts = [
            _fact(state, version, now, made.get(id, {})) for id, state in states.items() if _asks(state, version, made)
        ]
        moved = replace(sweep, done=sweep.done + len(ids), after=ids[-1])
        await self._leases.commit(part.lease, [*appended(p, facts), sweeps.save(p, moved)])
        part.programs += len(facts)
        while part.programs and parts.get(p) is part:
            await asyncio.sleep(LOOK)
        return True

    async def _lag(self, p: int) -> int:
        accepted, decided = await self._wire.call("HMGET", keys.counters(p), "accepted", "decided")
        return int(accepted or 0) - int(decided or 0)

    async def _series(self, part: Partition, sweep: Sweep, ids: list[str]) -> Made:
        """What recorded facts say of the page's contacts, of the series that they keep only since this sweep."""
        p, epoch = part.lease.partition, (part.lease.epoch, part.erased)
        program = await self._plans.program(sweep.version)
        fresh = _fresh(program, sweep.swept)
        if not fresh:
            return {}
        held = self._slices.get(p)
        if held is None or held[:2] != (epoch, sweep.version) or ids[-1] > held[2]:
            wanted = await sweeps.page(self._wire, p, sweep.after, SLICE)
            found = await rebuild(self._wire, self._archive, self._partitions, p, wanted, program, fresh, SHARE)
            held = self._slices[p] = (epoch, sweep.version, wanted[-1], found)
        return held[3]


def _fresh(program: Program, swept: int) -> list[str]:
    """The series that contacts keep, or keep so far back, only since the last version that all were brought up to."""
    return [id for id, since in program.since.items() if max(since.version, since.wide) > swept]


def _asks(state: Contact, version: int, made: Made) -> bool:
    """Whether the contact needs the fact. One that was merged hands on what its record says."""
    if state.merged_into:
        return bool(made.get(state.id))
    return bool(state.seq) and (state.program != version or bool(state.partial) or bool(made.get(state.id)))


def _fact(state: Contact, version: int, now: int, series: Mapping[str, Series]) -> Fact:
    told: dict[str, Any] = {"version": version, "of": state.id}
    if series:
        told["series"] = msgspec.to_builtins(dict(series))
    # Of several contacts that were merged into one, each hands on its own.
    id = f"program:{version}:{state.id}" if state.merged_into else f"program:{version}"
    return Fact(id, PROGRAM, state.id, now, now, told)
