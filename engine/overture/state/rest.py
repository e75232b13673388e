"""Whether a store is at rest: nothing to decide, nothing to hand over; and when that ends by itself."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass

from overture.state import keys, scripts
from overture.state.registry import Registry
from overture.state.sweeps import Sweep
from overture.state.wire import Wire


@dataclass(frozen=True, slots=True)
class Rest:
    """One look at all partitions. ``lag``: facts accepted or on their way, and not decided. ``behind``: partitions that
    the last activation has not been brought to. ``due`` (ms): when the first contact or message is, None where none.
    """

    accepted: int
    lag: int
    behind: int
    due: int | None

    def holds(self, now: int) -> bool:
        """As far as one look tells: of what goes from one partition to another meanwhile, only the next one does."""
        return not self.lag and not self.behind and (self.due is None or self.due > now)


class Rests:
    """Looks at a store."""

    def __init__(self, wire: Wire, partitions: int) -> None:
        self._wire = wire
        self._partitions = partitions
        self._registry = Registry(wire, partitions)
        self._rest = wire.script(scripts.REST)

    async def look(self) -> Rest:
        """Raises StoreUnavailable."""
        looks = [
            self._rest.call([keys.counters(p), keys.forwards(p), keys.sweep(p), keys.due(p), keys.outbox(p)], [])
            for p in range(self._partitions)
        ]
        version = await self._registry.base(await self._registry.version())
        accepted = lag = behind = 0
        dues: list[int] = []
        for taken, decided, forwards, sweep, *firsts in await asyncio.gather(*looks):
            accepted += int(taken)
            lag += int(taken) + int(forwards) - int(decided)
            swept = Sweep.parse(sweep.decode())
            behind += bool(version) and not (swept.over and swept.version >= version)
            dues += [math.ceil(float(first)) for first in firsts if first]
        return Rest(accepted, max(0, lag), behind, min(dues, default=None))
