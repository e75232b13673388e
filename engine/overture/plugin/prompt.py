"""How the host asks plugins that must answer at once: in bounded time, and not again and again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar, cast

from overture.model.errors import PluginFailed, describe
from overture.plugin.breaker import Breaker
from overture.plugin.cutoff import Blocked, Interrupted, bounded
from overture.plugin.guard import Limits
from overture.plugin.steps import AGAIN

WAITING = 10.0  # seconds that another thread waits for the main one

Loop = asyncio.AbstractEventLoop
R = TypeVar("R")


class NotHome(Exception):
    """The main thread did not come to it, or is gone."""

    def __str__(self) -> str:
        return "nobody was free to ask"


def at_home(loop: Loop | None, call: Callable[[], R]) -> R:
    """Do it in the main thread, where ``loop`` runs: only there can what goes on for ever be interrupted. Where the
    process has no loop there are no other threads that ask. Raises NotHome.
    """
    if loop is None or threading.current_thread() is threading.main_thread():
        return call()
    answer: Future[R] = Future()

    def run() -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    try:
        loop.call_soon_threadsafe(run)
        return answer.result(WAITING)
    except (TimeoutError, RuntimeError) as error:
        answer.cancel()
        raise NotHome from error


class Wrong(Exception):
    """An answer that cannot be used; the text goes on after ``answered``."""


class Asked:
    """One thing that is asked. ``what``: how sentences name it; ``loop``: see `at_home`."""

    def __init__(self, what: str, limits: Limits, loop: Loop | None = None) -> None:
        self.breaker = Breaker(limits.failures, limits.pause)
        self.what = what
        self._limits = limits
        self._loop = loop

    def ask(self, call: Callable[..., Any], arguments: Sequence[Any], read: Callable[[Any], R]) -> R:
        """What ``read`` makes of the answer; that raises what is wrong with it.

        Raises PluginFailed, whatever happens: ``plugin.left_alone``, ``plugin.blocked``, ``plugin.raised``,
        ``plugin.wrong_answer``.
        """
        try:
            return at_home(self._loop, lambda: self._ask(call, arguments, read))
        except NotHome:
            raise PluginFailed("plugin.blocked", f"{self.what} could not be asked: nobody was free.") from None

    def _ask(self, call: Callable[..., Any], arguments: Sequence[Any], read: Callable[[Any], R]) -> R:
        if self.breaker.admit() is not None:
            raise PluginFailed("plugin.left_alone", f"{self.what} {self.breaker.why} and is left alone for a while.")
        time = min(AGAIN, self._limits.timeout) if self.breaker.suspected else self._limits.timeout
        try:
            answer, error = bounded(self.what, time, self._contained, call, arguments, read)
        except Blocked as blocked:
            answer, error = None, PluginFailed("plugin.blocked", blocked.message)
        if error is None:
            self.breaker.succeeded()
            return cast(R, answer)
        self.breaker.failed(error.message)
        if error.code == "plugin.blocked":
            self.breaker.blocked()
        raise error

    def _contained(
        self, call: Callable[..., Any], arguments: Sequence[Any], read: Callable[[Any], R]
    ) -> tuple[R | None, PluginFailed | None]:
        """The answer, or what is wrong with it. The text of an error, too, is the plugin's code."""
        try:
            answer = call(*arguments)
        except Interrupted:
            raise
        except BaseException as error:
            return None, PluginFailed("plugin.raised", f"{self.what} raised {describe(error)}.")
        try:
            return read(answer), None
        except Interrupted:
            raise
        except Wrong as error:
            return None, PluginFailed("plugin.wrong_answer", f"{self.what} answered {error}.")
        except BaseException as error:  # what it answered may be code as well
            told = f"{self.what} answered what cannot be used: {describe(error)}."
            return None, PluginFailed("plugin.wrong_answer", told)
