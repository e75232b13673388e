"""How the host calls a plugin: whatever it does comes back as a value, in bounded time, and not again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from overture.plugin.breaker import Breaker
from overture.plugin.cutoff import Blocked, bounded
from overture.plugin.steps import AGAIN, STRETCH, watched
from overture.plugin.threads import UNNAMED, Threads

T = TypeVar("T")


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
    """Bounds the calls of one thing that a plugin has opened: a timeout for each, a bulkhead for all, a breaker, and
    threads of its own.
    """

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self.limits = limits
        self.breaker = Breaker(limits.failures, limits.pause)
        self._threads = Threads()
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
        if self.stuck():
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
        task = asyncio.ensure_future(contained(method, *arguments, stretch=stretch, threads=self._threads))
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

    def reading(self, read: Callable[..., T], *arguments: Any) -> T:
        """What ``read`` makes of what a call came to: attributes and texts of that, too, may be the plugin's code.

        Raises what ``read`` raises, and `Blocked`, which the breaker knows then.
        """
        try:
            return bounded("It", AGAIN if self.breaker.suspected else STRETCH, read, *arguments)
        except Blocked:
            self.breaker.blocked()
            raise

    async def close(self, method: Any) -> None:
        """Call what lets go of everything, whatever is under way; what becomes of that, nobody can use any more."""
        task = asyncio.ensure_future(contained(method, threads=self._threads))
        await asyncio.wait({task}, timeout=CLOSING)
        for each in (task, *self._running):
            each.cancel()

    @property
    def state(self) -> str:
        """For people: that of the breaker, or ``stuck``, where calls do not end although their time is over."""
        state = self.breaker.state
        return "stuck" if state != "open" and self.stuck() > self.limits.timeout else state

    def stuck(self) -> float:
        """Seconds for which the oldest call has been under way, where all slots have been taken for longer than anybody
        waits for one; else 0.
        """
        if not self._slots.locked() or not self._running:
            return 0.0
        lasted = asyncio.get_running_loop().time() - next(iter(self._running.values()))
        return lasted if lasted > self.limits.queue else 0.0

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


async def contained(method: Any, *arguments: Any, stretch: float = STRETCH, threads: Threads = UNNAMED) -> Any:
    """What the method answers, or what it raised, as `Raised`; only a cancellation is raised on."""
    try:
        return await watched(method, *arguments, stretch=stretch, threads=threads)
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # also where it is no coroutine function, or raises before its first await
        return Raised(error)
