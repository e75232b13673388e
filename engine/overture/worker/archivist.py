"""Moves committed facts from the log to the archive, trims the log behind them, and takes out those of the erased."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from overture.model import OvertureError
from overture.state import archive, keys
from overture.state.archive import ArchiveWriter, entry_order
from overture.state.lease import Lease, Leases
from overture.state.scrubbing import Scrub
from overture.state.wire import Wire
from overture.worker import scrubbing
from overture.worker.partition import Partition

log = logging.getLogger("overture.worker")
P = ParamSpec("P")
T = TypeVar("T")

PAUSE = 1.0  # seconds between rounds
PAGE = 256  # entries read from the log at once
FRAME_BYTES = 2 << 20  # in one frame; few large ones, because each costs a sync of the disk that the store shares
OLD_SECONDS = 30.0  # archived however little it is


class Archivist:
    """Archives the partitions of one worker. Frames are written and synced in a thread."""

    def __init__(self, wire: Wire, leases: Leases, directory: Path) -> None:
        self._wire = wire
        self._leases = leases
        self._directory = directory
        self._writers: dict[tuple[int, int], ArchiveWriter] = {}
        self._done: dict[int, float] = {}  # when each partition was last archived, in the loop's time

    async def run(self, parts: dict[int, Partition]) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            for part in list(parts.values()):
                try:
                    await self._look(part)
                except (OvertureError, OSError) as error:
                    log.warning("Partition %d cannot be archived now: %s", part.lease.partition, error)

    async def _look(self, part: Partition) -> None:
        now = asyncio.get_running_loop().time()
        last = self._done.setdefault(part.lease.partition, now)
        erased = await scrubbing.ordered(self._wire, part.lease.partition)
        goes = bool(erased) and scrubbing.decided(erased, part.at.entry)
        if part.unarchived < FRAME_BYTES and now - last < OLD_SECONDS and not goes:
            return
        part.unarchived = 0
        while await self._archive(part.lease, part.at.entry):
            pass
        self._done[part.lease.partition] = now
        if goes:
            await self._scrub(part.lease, erased)

    async def _scrub(self, lease: Lease, orders: dict[str, Scrub]) -> None:
        p = lease.partition
        with archive.held(self._directory, p):
            await self._leases.commit(lease, [])
            self._close(p)  # what it has open is to be replaced
            scrubbed = await _to_the_end(scrubbing.look, self._directory, p, orders)
            orders = await scrubbing.begin(self._wire, self._leases, lease, orders, scrubbed)
            await _to_the_end(archive.rewrite, self._directory, p, scrubbed.change)
        await scrubbing.done(self._leases, lease, orders)

    async def _archive(self, lease: Lease, last: str) -> bool:
        """Archive one frame of entries up to ``last``; true if more may be there."""
        p = lease.partition
        frame: list[tuple[str, bytes]] = []
        size, after, more = 0, "-", True
        while more and size < FRAME_BYTES:
            page = await self._wire.call("XRANGE", keys.log(p), after, last, "COUNT", PAGE)
            frame += ((id.decode(), fields[1]) for id, fields in page)
            size += sum(len(fields[1]) for _, fields in page)
            more = len(page) == PAGE
            after = f"({frame[-1][0]}" if frame else after
        if not frame:
            return False
        with archive.held(self._directory, p):
            await self._leases.commit(lease, [])
            await _to_the_end(self._writer(lease).append, frame)
        ms, seq = entry_order(frame[-1][0])
        await self._leases.commit(lease, [("XTRIM", keys.log(p), "MINID", f"{ms}-{seq + 1}")])
        return more

    def _writer(self, lease: Lease) -> ArchiveWriter:
        writer = self._writers.get((lease.partition, lease.epoch))
        if writer is None:
            self._close(lease.partition)
            writer = self._writers[lease.partition, lease.epoch] = ArchiveWriter(
                self._directory, lease.partition, lease.epoch
            )
        return writer

    def _close(self, p: int) -> None:
        for held in [held for held in self._writers if held[0] == p]:
            self._writers.pop(held).close()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


async def _to_the_end(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do it in a thread, and where this is cancelled come back when it is done all the same: nobody ends a thread, and
    no other process may have the files meanwhile.
    """
    thread = asyncio.create_task(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.wait([thread])
        if thread.exception() is not None:
            log.warning("What was written when it was to stop failed: %s", thread.exception())
        raise
