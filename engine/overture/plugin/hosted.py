"""What a plugin has opened as the host asks it: an answer that can be used, or a sentence why there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar, cast

from overture.model.errors import PluginFailed, describe
from overture.plugin.breaker import Breaker
from overture.plugin.cutoff import Blocked
from overture.plugin.guard import Busy, Guard, Late, Limits, Raised
from overture.plugin.prompt import Asked

T = TypeVar("T")


class NotAsked(PluginFailed):
    """It was not called: it is left alone for a while, has as much to do as it may, or could not be opened."""


class Hosted:
    """Something asynchronous under `Guard`. ``what`` begins sentences about it: ``The enricher geo``.

    ``fault``: why it could not be opened; then it fails whenever it is asked.
    """

    def __init__(self, what: str, limits: Limits, opened: Any = None, fault: str = "") -> None:
        self.what = what
        self.fault = fault
        self.dropped = 0
        self._opened = opened
        self._guard = Guard(limits)

    @property
    def breaker(self) -> Breaker:
        return self._guard.breaker

    @property
    def failures(self) -> int:
        return self.breaker.failures

    @property
    def last(self) -> str:
        """What was wrong the last time."""
        return self.breaker.last

    @property
    def state(self) -> str:
        """For people."""
        return f"failed: {self.fault}" if self.fault else self._guard.state

    async def ask(self, method: str, *arguments: Any, read: Callable[[Any], T]) -> T:
        """What ``read`` makes of the answer; that raises what is wrong with it.

        Raises PluginFailed ``plugin.failing`` where the call fails, and `NotAsked` where there was none.
        """
        if self.fault:
            raise NotAsked("plugin.not_open", f"{self.what} could not be opened: {self.fault}")
        if self.breaker.admit() is not None:
            raise NotAsked("plugin.left_alone", f"{self.what} {self.breaker.why} and is left alone for a while.")
        try:
            answer = await self._guard.call(getattr(self._opened, method, None), *arguments)
        except asyncio.CancelledError:
            self.breaker.abandoned()
            raise
        if type(answer) is Busy:
            self.breaker.abandoned()
            raise NotAsked("plugin.busy", f"{self.what} has as much to do as it may.")
        try:
            value, told = self._guard.reading(self._read, answer, read)
        except Blocked as error:
            value, told = None, _interrupted(error)
        if told:
            sentence = f"{self.what} {told}."
            self.breaker.failed(sentence)
            raise PluginFailed("plugin.failing", sentence)
        self.breaker.succeeded()
        return cast(T, value)

    def _read(self, answer: Any, read: Callable[[Any], T]) -> tuple[T | None, str]:
        """What it answered, or what is wrong with it."""
        match answer:
            case Raised(error=Blocked() as error):
                return None, _interrupted(error)
            case Raised(error=error):
                return None, f"raised {describe(error)}"
            case Late(cancelled=True):
                return None, "cancelled itself"
            case Late():
                return None, f"did not answer within {self._guard.limits.timeout:g} s"
            case _:
                try:
                    return read(answer), ""
                except BaseException as error:
                    return None, f"answered what cannot be used: {describe(error)}"

    async def close(self) -> None:
        """What it raises is of no use to anyone any more. Bounded."""
        if self._opened is not None:
            await self._guard.close(getattr(self._opened, "close", None))


def _interrupted(error: Blocked) -> str:
    return f"was interrupted. {error.message.rstrip('.')}"


class HostedNow:
    """Something synchronous, interrupted where it keeps the process for longer than ``limits.timeout``."""

    def __init__(self, what: str, limits: Limits, opened: Any = None, fault: str = "") -> None:
        self.what = what
        self.fault = fault
        self.dropped = 0
        self._asked = Asked(what, limits)
        self.breaker = self._asked.breaker
        self._opened = opened

    @property
    def state(self) -> str:
        return f"failed: {self.fault}" if self.fault else self.breaker.state

    @property
    def failures(self) -> int:
        return self.breaker.failures

    @property
    def last(self) -> str:
        """What was wrong the last time."""
        return self.breaker.last

    def ask(self, method: str, *arguments: Any, read: Callable[[Any], T]) -> T:
        """As `Hosted.ask`."""
        if self.fault:
            raise NotAsked("plugin.not_open", f"{self.what} could not be opened: {self.fault}")
        try:
            return self._asked.ask(getattr(self._opened, method, None), arguments, read)  # type: ignore[arg-type]
        except PluginFailed as error:
            if error.code == "plugin.left_alone":
                raise NotAsked(error.code, error.message) from None
            raise PluginFailed("plugin.failing", error.message) from None
