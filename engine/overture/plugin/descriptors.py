"""What a channel plugin hands to Overture, and the values that cross between the two.

A channel is anything that can take a message and say what became of it. The host calls it with a timeout, a limit on
how many calls run at once, and a circuit breaker (`overture.plugin.host`), so a channel may simply raise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from overture.model.contact import Contact
from overture.model.errors import OvertureError

C = TypeVar("C", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One rendered message. ``id`` is the idempotency key: a second hand-off of the same message carries the same id.

    ``created_at`` is milliseconds since the epoch, UTC; ``properties`` is the JSON-able context the message was decided
    in; ``unsubscribe`` is the URL of the one-click unsubscribe (RFC 8058), empty for none.
    ``data`` is what the template says for the program that shows the message, JSON-able. ``order`` grows with each
    message that is decided for the contact: a message that had to wait may be handed over after later ones.
    """

    id: str
    channel: str
    to: str
    subject: str = ""
    text: str = ""
    html: str = ""
    purpose: str
    contact: str
    created_at: int
    properties: Mapping[str, Any] = field(default_factory=dict[str, Any])
    unsubscribe: str = ""
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    order: int = 0


@dataclass(frozen=True, slots=True)
class Sent:
    """The peer confirmed the hand-off. ``ambiguous``: it is likely, but the peer did not say so."""

    provider_id: str = ""
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """The peer will never take this message; ``permanent``: nor any other, because the address itself is dead."""

    code: str
    message: str
    permanent: bool = False


class RetryLater(OvertureError):
    """Raised by a channel: not handed over, try again, no earlier than ``after_seconds`` where that is given."""

    def __init__(
        self,
        after_seconds: float | None = None,
        code: str = "channel.retry_later",
        message: str = "The channel asked for another try later.",
    ) -> None:
        super().__init__(code, message)
        self.after_seconds = after_seconds


class AmbiguousHandOff(OvertureError):
    """Raised by a channel: the message went out, but the answer was lost; it may or may not have been taken."""

    def __init__(self, message: str, code: str = "channel.ambiguous") -> None:
        super().__init__(code, message)


class Inbox(Protocol):
    """Where a channel may keep messages, for their contacts to read from the server."""

    async def put(self, message: Outgoing, *, most: int, days: int) -> bool:
        """Keep it in the inbox of its contact: once for its id; of one contact at most so many, each for so long.

        False where it cannot be: the contact is not known any more, or ``to`` is another one. Raises `AmbiguousHandOff`
        where the store does not say that it has it.
        """
        ...


class Channel(Protocol):
    """An open channel. Methods are called concurrently, from one event loop, and may be cancelled at any await."""

    async def send(self, message: Outgoing) -> Sent | Rejected:
        """Hand one message over.

        Raises `RetryLater` (not taken, try again), `AmbiguousHandOff` (may have been taken). Any other exception means
        not taken, and counts against the channel's circuit breaker.
        """
        ...

    async def check(self) -> None:
        """Raise when the channel could not send now: peer unreachable, credentials refused."""
        ...

    async def close(self) -> None:
        """Let go of connections. May be called twice, and after a failed start."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelPlugin(Generic[C]):
    """A channel that a plugin offers.

    ``name`` is what rules write in ``send: {channel: name}``; ``config`` is the pydantic model of its settings;
    ``open`` makes the channel from them, without I/O (connect at the first send); ``address_of`` finds a contact's own
    address on this channel, None where there is none. Where rules leave the channel to the send gate, that asks no
    plugin: it goes by `overture.plugin.own_address`, so best use that too.

    ``serves``: this is one of several ways to send on that channel (``email``, ``sms``), and none of its own: it sends
    for whichever channel's settings name it, ``[channels.email] plugin = "<name>"``.

    ``keeps``: ``open`` is given an `Inbox` besides the settings.
    """

    name: str
    config: type[C]
    open: Callable[[C], Channel] | Callable[[C, Inbox], Channel]
    address_of: Callable[[Contact], str | None]
    serves: str = ""
    keeps: bool = False
