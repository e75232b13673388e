"""How far the workers are behind, read from the store's own counters: the same numbers in every process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Any

from prometheus_client import Gauge

from overture.model import OvertureError
from overture.state import keys
from overture.state.outbox import STATES
from overture.state.registry import Registry
from overture.state.sweeps import progress
from overture.state.wire import Wire

PAUSE = 0.25  # seconds
MESSAGES_EVERY = 20  # rounds between counts of the messages

LAG = Gauge("overture_lag_facts", "Facts accepted and not yet decided, in the whole store.")
MESSAGES = Gauge("overture_messages", "Messages in the store, by state.", ["state"])
SWEEP = Gauge("overture_sweep_contacts", "Contacts, by whether the last activation has reached them.", ["done"])
DEAD_LETTERS = Gauge("overture_dead_letters", "Facts in the store that could not be decided.")


class Gauges:
    """``accepted`` and ``decided`` facts since the store was made; ``lag`` is what is still to be decided."""

    def __init__(self, wire: Wire, partitions: int) -> None:
        self._wire = wire
        self._partitions = partitions
        self._registry = Registry(wire, partitions)
        self.accepted = 0
        self.decided = 0
        self._on_their_way = 0  # handed on by one contact, not yet in the log of the other

    @property
    def lag(self) -> int:
        return max(0, self.accepted + self._on_their_way - self.decided)

    async def refresh(self) -> None:
        """Read the counters now."""
        counters = [self._wire.call("HMGET", keys.counters(p), "accepted", "decided") for p in range(self._partitions)]
        forwards = [self._wire.call("LLEN", keys.forwards(p)) for p in range(self._partitions)]
        rows = await asyncio.gather(*counters)
        self._on_their_way = sum(await asyncio.gather(*forwards))
        self.accepted = sum(int(accepted or 0) for accepted, _ in rows)
        self.decided = sum(int(decided or 0) for _, decided in rows)
        LAG.set(self.lag)

    async def count(self) -> None:
        """Count messages, contacts and dead letters for Prometheus."""
        for state in STATES:
            calls = [self._wire.call("ZCARD", keys.messages(p, state)) for p in range(self._partitions)]
            MESSAGES.labels(state).set(sum(await asyncio.gather(*calls)))
        done, of, _ = await self._progress(await self._registry.version())
        SWEEP.labels("true").set(done)
        SWEEP.labels("false").set(of - done)
        DEAD_LETTERS.set(
            sum(await asyncio.gather(*(self._wire.call("XLEN", keys.dead(p)) for p in range(self._partitions))))
        )

    async def sweep(self, version: int) -> dict[str, Any]:
        """How far contacts have been brought up to a version of the active set."""
        done, of, over = await self._progress(version)
        return {"version": version, "done": done, "of": of, "over": over}

    async def _progress(self, version: int) -> tuple[int, int, bool]:
        return await progress(self._wire, self._partitions, await self._registry.base(version))

    async def run(self) -> None:
        for turn in itertools.count():
            with contextlib.suppress(OvertureError):  # /readyz says so; the numbers stay as they were
                await self.refresh()
                if turn % MESSAGES_EVERY == 0:
                    await self.count()
            await asyncio.sleep(PAUSE)
