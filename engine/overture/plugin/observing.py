"""Observers: plugins that are told of what was decided and what became of messages; nothing waits for them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from overture.model.errors import PluginFailed
from overture.plugin.guard import Limits
from overture.plugin.hosted import Hosted, NotAsked

C = TypeVar("C", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A fact that was decided, and is on record with what it did. Times are milliseconds since the epoch, UTC.

    ``rules``: those that fired, as ``ruleset/rule``; ``messages``: the ids of the messages that it made go. ``cause``:
    the id of the fact that it follows from, empty where it came from outside. Mappings are read only.
    """

    id: str
    type: str
    contact: str
    occurred_at: int
    accepted_at: int
    properties: Mapping[str, Any]
    context: Mapping[str, Any]
    source: str
    cause: str
    backfill: bool
    rules: tuple[str, ...]
    messages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageOutcome:
    """What became of a message: ``state`` is ``sent``, ``dropped``, ``failed`` or what a source reports of it later
    (``delivered``, ``bounced``, ``opened`` …). ``message`` is empty where the report is of no message of ours.
    """

    message: str
    contact: str
    channel: str
    template: str
    state: str
    reason: str
    detail: str
    at: int


Event = Decided | MessageOutcome


class Observer(Protocol):
    """An open observer. `observe` is called with one event after the other, in the order of each contact's facts."""

    async def observe(self, event: Event) -> None:
        """Take note of it. What is raised is counted; the event does not come again."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverPlugin(Generic[C]):
    """Told of each decided fact and each outcome at most once: ``queue`` events wait at most, and what comes when it is
    full is dropped and counted. ``timeout`` seconds for each.
    """

    name: str
    config: type[C]
    open: Callable[[C], Observer]
    queue: int = 1_000
    timeout: float = 5.0


class HostedObserver(Hosted):
    """An observer with its queue. ``dropped`` counts events that it was not told of."""

    def __init__(self, name: str, plugin: ObserverPlugin[Any], observer: Observer) -> None:
        # What is cancelled after its time gets as much again to end, before it counts as stuck and misses events.
        limits = Limits(timeout=plugin.timeout, parallel=1, queue=2 * plugin.timeout)
        super().__init__(f"The observer {name}", limits, observer)
        self.name = name
        self._events: deque[Event] = deque()
        self._most = plugin.queue
        self._there = asyncio.Event()

    def offer(self, event: Event) -> None:
        """Never waits: what was decided is on record, whatever becomes of this. Where it is left alone, what comes
        meanwhile is dropped.
        """
        if len(self._events) >= self._most or self.breaker.state == "open":
            self.dropped += 1
            return
        self._events.append(event)
        self._there.set()

    async def run(self) -> None:
        """Tell it of what is offered, for ever."""
        while True:
            await self._there.wait()
            while self._events:
                await self._tell(self._events.popleft())
            self._there.clear()

    async def drain(self, seconds: float) -> None:
        """Tell it of what is left, as far as that goes in the time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._events:
                    await self._tell(self._events.popleft())

    async def _tell(self, event: Event) -> None:
        try:
            await self.ask("observe", event, read=lambda answer: answer)
        except NotAsked:
            self.dropped += 1
            await asyncio.sleep(0)  # nothing else waits in this loop while it is left alone
        except PluginFailed:
            pass
