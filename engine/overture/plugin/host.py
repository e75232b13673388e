"""A channel as the host calls it: whatever the plugin does comes back as a value, in bounded time."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from overture.model.contact import Contact
from overture.model.errors import PluginFailed, describe
from overture.plugin.breaker import Breaker
from overture.plugin.descriptors import AmbiguousHandOff, Channel, ChannelPlugin, Outgoing, Rejected, RetryLater, Sent

LONGEST_PAUSE = 86_400.0  # seconds a channel may ask to be left alone


@dataclass(frozen=True, slots=True)
class Handed:
    """What became of one hand-off.

    ``reason`` is a dotted code, ``message`` a sentence; both empty when sent. ``ambiguous``: the peer may have taken it
    although the state is not ``sent``, or may not have although it is. ``permanent``: the address is dead.
    ``attempted`` is false where the channel was not called at all (breaker open, all slots busy). ``retry_after`` is in
    seconds.
    """

    state: Literal["sent", "rejected", "retry"]
    reason: str = ""
    message: str = ""
    provider_id: str = ""
    retry_after: float | None = None
    ambiguous: bool = False
    permanent: bool = False
    attempted: bool = True


@dataclass(frozen=True, slots=True)
class Limits:
    """``parallel`` calls at once; ``failures`` in a row open the breaker for ``pause``; times in seconds."""

    timeout: float = 60.0
    parallel: int = 16
    failures: int = 5
    pause: float = 15.0


DEFAULT = Limits()


class _Raised:
    """Carries any exception out of a task. SystemExit in a task would end the event loop."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


async def _contained(call: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await call
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        return _Raised(error)


class HostedChannel:
    """A channel behind a timeout, a bulkhead and a circuit breaker. `send` never raises, except when cancelled."""

    def __init__(self, plugin: ChannelPlugin[Any], channel: Channel, limits: Limits = DEFAULT) -> None:
        self.name = plugin.name
        self.breaker = Breaker(limits.failures, limits.pause)
        self._plugin = plugin
        self._channel = channel
        self._limits = limits
        self._slots = asyncio.Semaphore(limits.parallel)

    def __repr__(self) -> str:
        return f"<HostedChannel {self.name} {self.breaker.state}>"

    def address_of(self, contact: Contact) -> str | None:
        """The contact's own address on this channel. Raises PluginFailed where the plugin raises or answers no text."""
        try:
            address = self._plugin.address_of(contact)
        except Exception as error:
            raise PluginFailed("plugin.address_failed", f"{self.name}: address_of raised {describe(error)}") from None
        if address is not None and not isinstance(address, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PluginFailed("plugin.address_failed", f"{self.name}: address_of answered {type(address).__name__}")
        return address or None

    async def send(self, message: Outgoing) -> Handed:
        """Hand over one message: at most the timeout for a free slot, then at most the timeout for the channel."""
        pause = self.breaker.admit()
        if pause is not None:
            text = f"The channel {self.name} failed repeatedly and is left alone for a while."
            return Handed("retry", "channel.breaker_open", text, retry_after=pause, attempted=False)
        try:
            answer = await self._bounded(self._channel.send, message)
        except asyncio.CancelledError:
            self.breaker.abandoned()
            raise
        handed = self._judge(answer)
        if handed.reason in _FAILURES:
            self.breaker.failed()
        elif handed.attempted:
            self.breaker.succeeded()
        else:
            self.breaker.abandoned()
        return handed

    async def check(self) -> None:
        """Raises PluginFailed when the channel could not send now."""
        answer = await self._bounded(self._channel.check)
        if isinstance(answer, _Raised):
            raise PluginFailed("plugin.check_failed", f"{self.name}: {describe(answer.error)}")
        if isinstance(answer, Handed):
            raise PluginFailed("plugin.check_failed", f"{self.name}: {answer.message}")

    async def close(self) -> None:
        """Close the channel; what it raises is of no use to anyone any more. Bounded by the timeout."""
        await self._bounded(self._channel.close)

    async def _bounded(self, method: Any, *arguments: Any) -> Any:
        """The method's result, a `_Raised`, or a `Handed` where it did not end in time.

        The slot is given back when the call really ends: a call that ignores its cancellation keeps its slot, so that
        hung calls cannot pile up without bound.
        """
        try:
            async with asyncio.timeout(self._limits.timeout):
                await self._slots.acquire()
        except TimeoutError:
            return Handed("retry", "channel.busy", f"All slots of the channel {self.name} are taken.", attempted=False)
        try:
            task = asyncio.ensure_future(_contained(method(*arguments)))
        except BaseException as error:  # not a coroutine function, or it raised before its first await
            self._slots.release()
            return _Raised(error)
        task.add_done_callback(lambda _: self._slots.release())
        try:
            done, _ = await asyncio.wait({task}, timeout=self._limits.timeout)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not done:
            task.cancel()
            text = f"The channel {self.name} did not answer within {self._limits.timeout:g} s."
            return Handed("retry", "channel.timeout", text, ambiguous=True)
        if task.cancelled():
            return Handed("retry", "channel.raised", f"The channel {self.name} cancelled itself.", ambiguous=True)
        return task.result()

    def _judge(self, answer: Any) -> Handed:
        try:
            return self._read(answer)
        except Exception as error:  # a field of the wrong type
            text = f"The channel {self.name} answered a malformed {type(answer).__name__}: {describe(error)}"
            return Handed("retry", "channel.wrong_type", text, ambiguous=True)

    def _read(self, answer: Any) -> Handed:
        match answer:
            case Handed():
                return answer
            case Sent():
                return Handed("sent", provider_id=str(answer.provider_id)[:300], ambiguous=bool(answer.ambiguous))
            case Rejected():
                return Handed("rejected", str(answer.code), str(answer.message)[:500], permanent=bool(answer.permanent))
            case _Raised(error=RetryLater() as error):
                return Handed(
                    "retry", str(error.code), str(error.message)[:500], retry_after=_seconds(error.after_seconds)
                )
            case _Raised(error=AmbiguousHandOff() as error):
                return Handed("retry", str(error.code), str(error.message)[:500], ambiguous=True)
            case _Raised():
                return Handed("retry", "channel.raised", f"The channel {self.name} raised {describe(answer.error)}")
            case _:
                text = f"The channel {self.name} answered {type(answer).__name__} instead of Sent or Rejected."
                return Handed("retry", "channel.wrong_type", text, ambiguous=True)


_FAILURES = frozenset({"channel.raised", "channel.timeout", "channel.wrong_type"})


def _seconds(asked: object) -> float | None:
    if not isinstance(asked, int | float) or not math.isfinite(asked):
        return None
    return min(max(float(asked), 0.0), LONGEST_PAUSE)
