"""Coroutines driven step by step, so that what a plugin does between two awaits is bounded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from overture.model.errors import PluginFailed, describe
from overture.plugin.cutoff import Blocked, bounded, inside, outside
from overture.plugin.threads import UNNAMED, Threads, asked_by

T = TypeVar("T")

STRETCH = 0.25  # seconds between two awaits
AGAIN = 0.05  # the same for what blocked the process before, until it did well
DEAF = 3  # cancellations that a plugin may take no notice of; the next one it is not told of


class _Steps(Coroutine[Any, Any, Any]):
    """A coroutine whose every step goes through ``run``, which is given a function and its arguments."""

    __slots__ = ("_inner", "_run")

    def __init__(self, run: Callable[..., Any], inner: Coroutine[Any, Any, Any]) -> None:
        self._run = run
        self._inner = inner

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self._run(self._inner.send, None)

    def send(self, value: Any) -> Any:
        return self._run(self._inner.send, value)

    def throw(self, *error: Any) -> Any:
        task = asyncio.current_task()
        if task is not None and task.cancelling() > DEAF:
            raise asyncio.CancelledError
        return self._run(self._inner.throw, *error)

    def close(self) -> None:
        self._run(self._inner.close)


def watched(
    method: Callable[..., Awaitable[Any]], *arguments: Any, stretch: float = STRETCH, threads: Threads = UNNAMED
) -> Coroutine[Any, Any, Any]:
    """``method(*arguments)``, asynchronous code of a plugin. It ends with `Blocked` where that goes on for more than
    ``stretch`` seconds without an await. What it asks to be done in a thread is done by ``threads``.
    """
    return _watched(_called(method, arguments), stretch, threads)


def unwatched(coroutine: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
    """A coroutine of ours that a plugin awaits: its time is not the plugin's, nor are its threads."""

    def run(step: Callable[..., Any], *arguments: Any) -> Any:
        return outside(asked_by, None, step, *arguments)

    return _Steps(run, coroutine)


def watch_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Have the tasks that plugins start in this loop watched like what started them."""
    loop.set_task_factory(_task)


async def end_tasks() -> None:
    """End all other tasks of this loop, those too in which a plugin takes no notice of being cancelled."""
    for _ in range(DEAF + 2):
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)


def _task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    return asyncio.Task(_own(coroutine) if inside() else coroutine, loop=loop, **options)


def _own(coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
    def run(step: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return _bounded(coroutine, STRETCH, step, *arguments)
        except (SystemExit, KeyboardInterrupt) as error:  # which would end the event loop
            raise PluginFailed("plugin.raised", f"A task of a plugin raised {describe(error)}") from None

    return _Steps(run, coroutine)


def _watched(coroutine: Coroutine[Any, Any, Any], stretch: float, threads: Threads) -> Coroutine[Any, Any, Any]:
    def run(step: Callable[..., Any], *arguments: Any) -> Any:
        return asked_by(threads, _bounded, coroutine, stretch, step, *arguments)

    return _Steps(run, coroutine)


def _bounded(coroutine: Coroutine[Any, Any, Any], stretch: float, step: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return bounded("It", stretch, step, *arguments)
    except Blocked:
        with contextlib.suppress(BaseException):  # it may have caught what interrupted it, and wait for something now
            bounded("It", stretch, coroutine.close)
        raise


async def _called(method: Callable[..., Awaitable[Any]], arguments: tuple[Any, ...]) -> Any:
    return await method(*arguments)
