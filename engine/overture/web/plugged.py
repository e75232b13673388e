"""Plugins as people look at them, and the sources among them as the routes call them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from overture.plugin import Posted
from overture.plugin.listening import HostedPush


class Trouble(msgspec.Struct, frozen=True):
    """Since this process was started: how many calls failed, what the last of them was told as, how much was dropped
    that it was too slow for.
    """

    failures: int = 0
    last: str = ""
    dropped: int = 0


class OfferView(msgspec.Struct, frozen=True):
    """``settings``: the JSON Schema of what stands in ``[channels.<name>]``, ``[sources.<name>]`` and so on; ``open``:
    under which names it is there, with the state of its circuit breaker, ``stuck``, or what it is doing; ``trouble``:
    with what went wrong, where anything did.
    """

    kind: str
    name: str
    settings: dict[str, Any]
    open: dict[str, str]
    trouble: dict[str, Trouble] = {}


class PluginView(msgspec.Struct, frozen=True):
    """A plugin as it was found. ``state``: ``active``, ``failed`` (with ``error``), or ``not allowed``: not loaded."""

    name: str
    distribution: str
    version: str
    state: str
    error: str
    hooks: list[str]
    offers: list[OfferView]


class RefusalView(msgspec.Struct, frozen=True):
    """A fact that a source brought and that was refused; ``fact`` as JSON, or the beginning of it."""

    at: str
    source: str
    code: str
    message: str
    pointer: str
    fact: str


class Unwanted(NamedTuple):
    """What a source brought and was refused: ``pointer`` is the place in ``fact``, empty for all of it."""

    code: str
    message: str
    pointer: str
    fact: object


class Plugins(Protocol):
    @property
    def sources(self) -> Collection[HostedPush]:
        """Those that others call."""
        ...

    def states(self) -> list[PluginView]: ...

    async def refused(self, limit: int) -> list[RefusalView]:
        """Newest first."""
        ...

    async def addressed(self, facts: Sequence[object]) -> list[object | Unwanted]:
        """The same, with what is said of a message (``contact.message``, its id) said of that message's contact;
        `Unwanted` where there is no such message.
        """
        ...

    async def heard(self, plugin: str, source: str, posted: Posted) -> None:
        """Raises Refused, having recorded the facts, where what proves who calls was good for another request."""
        ...

    async def record(self, source: str, refused: Sequence[Unwanted], now: int, key: str = "") -> None:
        """Keep them. ``key``: that the request came with; it is kept nowhere, so it is taken out of them."""
        ...
