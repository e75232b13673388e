"""How the host calls a plugin: whatever it does comes back as a value, in bounded time, and not again and again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from overture.plugin.breaker import Breaker
from overture.plugin.cutoff import Blocked
from overture.plugin.steps import AGAIN, STRETCH, watched


@dataclass(frozen=True, slots=True)
class Limits:
    """``parallel`` calls at once, for which others wait up to ``queue``; ``failures`` in a row open the breaker for
    ``pause``; times in seconds.
    """

    timeout: float = 60.0
    parallel: int = 16
    queue: float = 5.0
    failures: int = 5
    pause: float = 15.0


DEFAULT = Limits()
CLOSING = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Raised:
    """Carries any exception out of a call. SystemExit in a task would end the event loop."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class Late:
    """The call did not end in time, or ended itself by a cancellation; what it did so far, nobody knows."""

    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Busy:
    """There is no free slot, and none became free in time: the plugin was not called."""


class Guard:
    """Bounds the calls of one thing that a plugin has opened: a timeout for each, a bulkhead for all, a breaker."""

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self.limits = limits
        self.breaker = Breaker(limits.failures, limits.pause)
        self._slots = asyncio.Semaphore(limits.parallel)
        self._running: dict[asyncio.Task[Any], float] = {}  # since when, the oldest first
        self._blocks = 0

    async def call(self, method: Any, *arguments: Any) -> Any:
        """What the method answers, or `Raised`, `Late`, `Busy`; raises nothing, except when cancelled.

        A slot is given back when the call really ends: one that ignores its cancellation keeps it, so that hung calls
        cannot pile up without bound. While all are taken for longer than anybody waits for one, nobody does. Each call
        may block the process, once one did: the others under way are given up (`Late`), those that wait are `Busy`.
        """
        blocks = self._blocks
        if self._stuck():
            return Busy()
        try:
            async with asyncio.timeout(min(self.limits.queue, self.limits.timeout)):
                await self._slots.acquire()
        except TimeoutError:
            return Busy()
        if blocks != self._blocks:
            self._slots.release()
            return Busy()
        stretch = AGAIN if self.breaker.suspected else STRETCH
        task = asyncio.ensure_future(contained(method, *arguments, stretch=stretch))
        self._running[task] = asyncio.get_running_loop().time()
        task.add_done_callback(self._ended)
        try:
            done, _ = await asyncio.wait({task}, timeout=self.limits.timeout)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()
            return Late()
        return Late(cancelled=True) if task.cancelled() else task.result()

    async def close(self, method: Any) -> None:
        """Call what lets go of everything, whatever is under way; what becomes of that, nobody can use any more."""
        task = asyncio.ensure_future(contained(method))
        await asyncio.wait({task}, timeout=CLOSING)
        for each in (task, *self._running):
            each.cancel()

    def _stuck(self) -> bool:
        if not self._slots.locked() or not self._running:
            return False
        oldest = next(iter(self._running.values()))
        return asyncio.get_running_loop().time() - oldest > self.limits.queue

    def _ended(self, task: asyncio.Task[Any]) -> None:
        del self._running[task]
        self._slots.release()
        match None if task.cancelled() else task.result():
            case Raised(error=Blocked()):
                self._blocks += 1
                self.breaker.blocked()
                for other in self._running:
                    other.cancel()
            case _:
                pass


async def contained(method: Any, *arguments: Any, stretch: float = STRETCH) -> Any:
    """What the method answers, or what it raised, as `Raised`; only a cancellation is raised on."""
    try:
        return await watched(method, *arguments, stretch=stretch)
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:  # also where it is no coroutine function, or raises before its first await
        return Raised(error)
