"""A channel as the host calls it: whatever the plugin does comes back as a value, in bounded time."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Any, Literal

from overture.model.contact import Contact
from overture.model.errors import PluginFailed, clean, describe
from overture.plugin.cutoff import Blocked
from overture.plugin.descriptors import AmbiguousHandOff, Channel, ChannelPlugin, Outgoing, Rejected, RetryLater, Sent
from overture.plugin.guard import DEFAULT, Busy, Guard, Late, Limits, Raised

LONGEST_PAUSE = 86_400.0  # seconds a channel may ask to be left alone


@dataclass(frozen=True, slots=True)
class Handed:
    """What became of one hand-off.

    ``reason`` is a dotted code, ``message`` a sentence; both empty when sent. ``ambiguous``: the peer may have taken it
    although the state is not ``sent``, or may not have although it is. ``permanent``: the address is dead.
    ``attempted`` is false where the channel was not called at all (breaker open, all slots busy); ``lasted``: for how
    long it has been so. ``retry_after`` and ``lasted`` are in seconds.
    """

    state: Literal["sent", "rejected", "retry"]
    reason: str = ""
    message: str = ""
    provider_id: str = ""
    retry_after: float | None = None
    ambiguous: bool = False
    permanent: bool = False
    attempted: bool = True
    lasted: float = 0.0


class HostedChannel:
    """A channel behind a timeout, a bulkhead and a circuit breaker. `send` never raises, except when cancelled."""

    def __init__(self, plugin: ChannelPlugin[Any], channel: Channel, limits: Limits = DEFAULT, name: str = "") -> None:
        """``name``: what rules call it, where that is not the plugin's own name."""
        self.name = name or plugin.name
        self._guard = Guard(limits)
        self.breaker = self._guard.breaker
        self._plugin = plugin
        self._channel = channel
        self._blocked = ""  # what address_of was interrupted with

    def __repr__(self) -> str:
        return f"<HostedChannel {self.name} {self.state}>"

    @property
    def state(self) -> str:
        """For people."""
        return self._guard.state

    def address_of(self, contact: Contact) -> str | None:
        """The contact's own address on this channel. Raises PluginFailed where the plugin raises or answers no text;
        without asking for a while after it blocked the process.
        """
        if self._blocked and self.breaker.state == "open":
            raise PluginFailed("plugin.address_failed", self._blocked)
        try:
            return self._guard.reading(self._address, contact)
        except Blocked as error:
            self._blocked = f"{self.name}: address_of was interrupted. {error.message}"
            self.breaker.failed(self._blocked)
            raise PluginFailed("plugin.address_failed", self._blocked) from None

    def _address(self, contact: Contact) -> str | None:
        try:
            address = self._plugin.address_of(contact)
        except BaseException as error:  # also SystemExit, which would end the event loop
            raise PluginFailed("plugin.address_failed", f"{self.name}: address_of raised {describe(error)}") from None
        if address is None:
            return None
        if not isinstance(address, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PluginFailed("plugin.address_failed", f"{self.name}: address_of answered {type(address).__name__}")
        if clean(address) != address:  # not mended: that would be somebody else's
            raise PluginFailed("plugin.address_failed", f"{self.name}: address_of answered half of a character")
        return clean(address) or None

    def left_alone(self) -> Handed | None:
        """What `send` would answer without calling the channel; None where it would call it, or wait for a slot."""
        if (pause := self.breaker.left()) is not None:
            return self._open(pause)
        return self._read(Busy()) if self._guard.stuck() else None

    async def send(self, message: Outgoing) -> Handed:
        """Hand over one message: at most the timeout for a free slot, then at most the timeout for the channel."""
        if (pause := self.breaker.admit()) is not None:
            return self._open(pause)
        try:
            answer = await self._guard.call(self._channel.send, message)
        except asyncio.CancelledError:
            self.breaker.abandoned()
            raise
        handed = self._judge(answer)
        if handed.reason in _FAILURES:
            self.breaker.failed(handed.message)
        elif handed.attempted:
            self.breaker.succeeded()
        else:
            self.breaker.abandoned()
        return handed

    async def check(self) -> None:
        """Raises PluginFailed when the channel could not send now."""
        answer = await self._guard.call(self._channel.check)
        if type(answer) is Raised:
            try:
                told = self._guard.reading(describe, answer.error)
            except Blocked as error:
                told = describe(error)
            raise PluginFailed("plugin.check_failed", f"{self.name}: {told}")
        if type(answer) in (Late, Busy):
            raise PluginFailed("plugin.check_failed", f"{self.name}: {self._read(answer).message}")

    async def close(self) -> None:
        """Close the channel; what it raises is of no use to anyone any more. Bounded."""
        await self._guard.close(self._channel.close)

    def _interrupted(self, error: Blocked) -> Handed:
        text = f"The channel {self.name} was interrupted. {error.message}"
        return Handed("retry", error.code, text, ambiguous=True)

    def _open(self, pause: float) -> Handed:
        text = f"The channel {self.name} {self.breaker.why} and is left alone for a while."
        lasted = self.breaker.lasted
        return Handed("retry", "channel.breaker_open", text, retry_after=pause, attempted=False, lasted=lasted)

    def _judge(self, answer: Any) -> Handed:
        try:
            return self._guard.reading(self._taken, answer)
        except Blocked as error:
            return self._interrupted(error)

    def _taken(self, answer: Any) -> Handed:
        try:
            return self._read(answer)
        except BaseException as error:  # a field of the wrong type, or one that is code
            text = f"The channel {self.name} answered a malformed {type(answer).__name__}: {describe(error)}"
            return Handed("retry", "channel.wrong_type", text, ambiguous=True)

    def _read(self, answer: Any) -> Handed:
        match answer:
            case Busy():
                text = f"All slots of the channel {self.name} are taken."
                pause, lasted = self._guard.limits.queue, self._guard.stuck()
                return Handed("retry", "channel.busy", text, retry_after=pause, attempted=False, lasted=lasted)
            case Late(cancelled=True):
                text = f"The call of the channel {self.name} was cancelled."
                return Handed("retry", "channel.raised", text, ambiguous=True)
            case Late():
                text = f"The channel {self.name} did not answer within {self._guard.limits.timeout:g} s."
                return Handed("retry", "channel.timeout", text, ambiguous=True)
            case Sent():
                # An id that is none is left out: to send again because of it would be to send twice.
                id = _text(answer.provider_id, 300) if _usable(answer.provider_id) else ""
                return Handed("sent", provider_id=id, ambiguous=answer.ambiguous is not False)
            case Rejected():
                code, text = _text(answer.code, 100), _text(answer.message, 500)
                return Handed("rejected", code, text, permanent=answer.permanent is True)
            case Raised(error=RetryLater() as error):
                code, text = _text(error.code, 100), _text(error.message, 500)
                return Handed("retry", code, text, retry_after=_seconds(error.after_seconds))
            case Raised(error=AmbiguousHandOff() as error):
                return Handed("retry", _text(error.code, 100), _text(error.message, 500), ambiguous=True)
            case Raised(error=Blocked() as error):
                return self._interrupted(error)
            case Raised():
                return Handed("retry", "channel.raised", f"The channel {self.name} raised {describe(answer.error)}")
            case _:
                text = f"The channel {self.name} answered {type(answer).__name__} instead of Sent or Rejected."
                return Handed("retry", "channel.wrong_type", text, ambiguous=True)


_FAILURES = frozenset({"channel.raised", "channel.timeout", "channel.wrong_type", "plugin.blocked"})


def _usable(id: Any) -> bool:
    """No code of a plugin's own, and no number that takes long to write."""
    return type(id) is str or (type(id) is int and id.bit_length() <= 64)


def _text(value: object, longest: int) -> str:
    if type(value) is int:
        return str(value)[:longest]
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} is no text")
    return clean(value)[:longest]


def _seconds(asked: object) -> float | None:
    if not isinstance(asked, int | float) or not math.isfinite(asked):
        return None
    return min(max(float(asked), 0.0), LONGEST_PAUSE)
