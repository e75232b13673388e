"""A channel as the host calls it: whatever the plugin does comes back as a value, in bounded time."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import Any, Literal

from overture.model.contact import Contact
from overture.model.errors import PluginFailed, describe
from overture.plugin.cutoff import Blocked, bounded
from overture.plugin.descriptors import AmbiguousHandOff, Channel, ChannelPlugin, Outgoing, Rejected, RetryLater, Sent
from overture.plugin.guard import DEFAULT, Busy, Guard, Late, Limits, Raised
from overture.plugin.steps import STRETCH

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


class HostedChannel:
    """A channel behind a timeout, a bulkhead and a circuit breaker. `send` never raises, except when cancelled."""

    def __init__(self, plugin: ChannelPlugin[Any], channel: Channel, limits: Limits = DEFAULT, name: str = "") -> None:
        """``name``: what rules call it, where that is not the plugin's own name."""
        self.name = name or plugin.name
        self._guard = Guard(limits)
        self.breaker = self._guard.breaker
        self._plugin = plugin
        self._channel = channel
        self._blocked: PluginFailed | None = None  # the last time that it did not say an address

    def __repr__(self) -> str:
        return f"<HostedChannel {self.name} {self.breaker.state}>"

    def address_of(self, contact: Contact) -> str | None:
        """The contact's own address on this channel. Raises PluginFailed where the plugin raises or answers no text;
        without asking for a while after it blocked the process.
        """
        if self._blocked is not None and self.breaker.state == "open":
            raise self._blocked
        try:
            address = bounded("It", STRETCH, self._plugin.address_of, contact)
        except Blocked as error:
            self.breaker.blocked()
            text = f"{self.name}: address_of was interrupted. {error.message}"
            self._blocked = PluginFailed("plugin.address_failed", text)
            raise self._blocked from None
        except BaseException as error:  # also SystemExit, which would end the event loop
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
        if isinstance(answer, Raised):
            raise PluginFailed("plugin.check_failed", f"{self.name}: {describe(answer.error)}")
        if isinstance(answer, Late | Busy):
            raise PluginFailed("plugin.check_failed", f"{self.name}: {self._judge(answer).message}")

    async def close(self) -> None:
        """Close the channel; what it raises is of no use to anyone any more. Bounded."""
        await self._guard.close(self._channel.close)

    def _judge(self, answer: Any) -> Handed:
        try:
            return self._read(answer)
        except Exception as error:  # a field of the wrong type
            text = f"The channel {self.name} answered a malformed {type(answer).__name__}: {describe(error)}"
            return Handed("retry", "channel.wrong_type", text, ambiguous=True)

    def _read(self, answer: Any) -> Handed:
        match answer:
            case Busy():
                text = f"All slots of the channel {self.name} are taken."
                return Handed("retry", "channel.busy", text, attempted=False)
            case Late(cancelled=True):
                text = f"The call of the channel {self.name} was cancelled."
                return Handed("retry", "channel.raised", text, ambiguous=True)
            case Late():
                text = f"The channel {self.name} did not answer within {self._guard.limits.timeout:g} s."
                return Handed("retry", "channel.timeout", text, ambiguous=True)
            case Sent():
                return Handed("sent", provider_id=str(answer.provider_id)[:300], ambiguous=bool(answer.ambiguous))
            case Rejected():
                return Handed("rejected", str(answer.code), str(answer.message)[:500], permanent=bool(answer.permanent))
            case Raised(error=RetryLater() as error):
                return Handed(
                    "retry", str(error.code), str(error.message)[:500], retry_after=_seconds(error.after_seconds)
                )
            case Raised(error=AmbiguousHandOff() as error):
                return Handed("retry", str(error.code), str(error.message)[:500], ambiguous=True)
            case Raised(error=Blocked() as error):
                return Handed(
                    "retry", error.code, f"The channel {self.name} was interrupted. {error.message}", ambiguous=True
                )
            case Raised():
                return Handed("retry", "channel.raised", f"The channel {self.name} raised {describe(answer.error)}")
            case _:
                text = f"The channel {self.name} answered {type(answer).__name__} instead of Sent or Rejected."
                return Handed("retry", "channel.wrong_type", text, ambiguous=True)


_FAILURES = frozenset({"channel.raised", "channel.timeout", "channel.wrong_type", "plugin.blocked"})


def _seconds(asked: object) -> float | None:
    if not isinstance(asked, int | float) or not math.isfinite(asked):
        return None
    return min(max(float(asked), 0.0), LONGEST_PAUSE)
