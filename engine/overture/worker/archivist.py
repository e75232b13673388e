"""Moves committed facts from the log to the archive, and trims the log behind them."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from overture.model import OvertureError, clock
from overture.state import keys
from overture.state.archive import ArchiveWriter, entry_order
from overture.state.lease import Lease, Leases
from overture.state.wire import Wire
from overture.worker.partition import Partition

log = logging.getLogger("overture.worker")

PAUSE = 1.0  # seconds between rounds
FRAME = 1024  # entries in one frame at most
ENOUGH = 128  # entries worth a frame of their own
OLD_MS = 5_000  # archived however few they are


class Archivist:
    """Archives the partitions of one worker. One frame a round and partition, written and fsynced in a thread."""

    def __init__(self, wire: Wire, leases: Leases, directory: Path) -> None:
        self._wire = wire
        self._leases = leases
        self._directory = directory
        self._writers: dict[tuple[int, int], ArchiveWriter] = {}

    async def run(self, parts: dict[int, Partition]) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            for part in list(parts.values()):
                try:
                    while await self._archive(part.lease, part.at.entry):
                        await asyncio.sleep(0)
                except (OvertureError, OSError) as error:
                    log.warning("Partition %d cannot be archived now: %s", part.lease.partition, error)

    async def _archive(self, lease: Lease, last: str) -> bool:
        """Archive up to entry ``last``; true if a whole frame was written and more may be there."""
        p = lease.partition
        entries = await self._wire.call("XRANGE", keys.log(p), "-", last, "COUNT", FRAME)
        if not entries:
            return False
        age = clock.now() - entry_order(entries[0][0].decode())[0]
        if len(entries) < ENOUGH and age < OLD_MS:
            return False
        frame = [(id.decode(), fields[1]) for id, fields in entries]
        await asyncio.to_thread(self._writer(lease).append, frame)
        ms, seq = entry_order(frame[-1][0])
        await self._leases.commit(lease, [("XTRIM", keys.log(p), "MINID", f"{ms}-{seq + 1}")])
        return len(entries) == FRAME

    def _writer(self, lease: Lease) -> ArchiveWriter:
        writer = self._writers.get((lease.partition, lease.epoch))
        if writer is None:
            for held in [held for held in self._writers if held[0] == lease.partition]:
                self._writers.pop(held).close()
            writer = self._writers[lease.partition, lease.epoch] = ArchiveWriter(
                self._directory, lease.partition, lease.epoch
            )
        return writer

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
