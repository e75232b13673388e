"""`VirtualClock`: what waits for hours is tested in no time."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from datetime import UTC, datetime
from heapq import heappop, heappush
from typing import Any, Self

TURNS = 50  # of the event loop, in which what a timer set off comes to rest
START = "2026-01-01T00:00:00Z"


class VirtualClock:
    """The running event loop's clock, standing still until a test puts it ahead.

    ::

        async with VirtualClock() as clock:
            task = asyncio.create_task(source.run(emit))  # which sleeps five minutes between two looks
            await clock.advance(3600)
            assert len(emit.emitted) == 12

    Every `asyncio.sleep`, timeout and ``call_later`` made within goes by it, each due at its own instant, in order.
    Connections are as real as ever: wait for them. It needs asyncio's own event loop; uvloop's has no such clock.
    """

    def __init__(self, start: str = START) -> None:
        self._start = datetime.fromisoformat(start).timestamp()
        self._passed = 0.0  # seconds
        self._began = 0.0
        self._due: list[float] = []
        self._loop: Any = None
        self._call_at: Callable[..., asyncio.TimerHandle] | None = None

    def now(self) -> int:
        """Milliseconds since the epoch, UTC: as `Incoming.at` has it."""
        return round((self._start + self._passed) * 1000)

    def text(self) -> str:
        """The same as RFC 3339, as facts have it."""
        return datetime.fromtimestamp(self._start + self._passed, UTC).isoformat(timespec="milliseconds")

    async def advance(self, seconds: float) -> None:
        """Put it ahead. On return all that was due has been done, but for what waits for a peer or a thread."""
        end = self._passed + seconds
        await self._rest()
        while self._due and self._due[0] - self._began <= end:
            self._passed = max(self._passed, heappop(self._due) - self._began)
            await self._rest()
        self._passed = end
        await self._rest()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        if not isinstance(self._loop, asyncio.BaseEventLoop):
            raise RuntimeError("a VirtualClock needs asyncio's own event loop")
        self._began = self._loop.time()
        self._call_at = self._loop.call_at
        self._loop.time, self._loop.call_at = self._time, self._at
        return self

    async def __aexit__(self, *_: object) -> None:
        del self._loop.time, self._loop.call_at

    def _time(self) -> float:
        return self._began + self._passed

    def _at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        assert self._call_at is not None
        heappush(self._due, when)
        return self._call_at(when, callback, *args, context=context)

    async def _rest(self) -> None:
        for _ in range(TURNS):
            await asyncio.sleep(0)
