"""In place of a server: `RecordingEmit` takes what a source fetches, `RecordingInbox` what a channel keeps."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from overture.plugin import AmbiguousHandOff, NoFact, Outgoing, RetryLater, Taken
from overture.plugin.sources import FactBody


@dataclass(frozen=True, slots=True)
class Emitted:
    """One call of an `Emit`."""

    facts: Sequence[FactBody]
    place: str
    backfill: bool
    refused: Sequence[NoFact]

    @property
    def ids(self) -> list[Any]:
        return [fact.get("id") for fact in self.facts]


class RecordingEmit:
    """An `overture.plugin.Emit`. ``emitted`` is what it took, ``offered`` also what it was offered while it was held::

        emit = RecordingEmit()
        task = asyncio.create_task(source.run(emit))
        await emit.wait_for(3)  # facts
        task.cancel()
        assert emit.place == "3"

    While ``held``, a call waits, as where a server has enough to do, and what it brings is not taken before `release`.
    Where ``failing`` is set, the next call raises that.
    """

    def __init__(self, place: str = "") -> None:
        self.place = place
        self.emitted: list[Emitted] = []
        self.offered: list[Emitted] = []
        self.held = False
        self.failing: Exception | None = None
        self.known = set[Any]()
        """The ids of all facts taken, before a restart too."""
        self._changed = asyncio.Event()

    async def __call__(
        self,
        facts: Sequence[FactBody],
        place: str = "",
        *,
        backfill: bool = False,
        refused: Sequence[NoFact] = (),
    ) -> Taken:
        offer = Emitted(list(facts), place, backfill, list(refused))
        self.offered.append(offer)
        self._changed.set()
        if (error := self.failing) is not None:
            self.failing = None
            raise error
        while self.held:
            await self._next()
        self.emitted.append(offer)
        duplicates = sum(id in self.known for id in offer.ids)
        self.known.update(offer.ids)
        self.place = place or self.place
        self._changed.set()
        return Taken(len(offer.facts) - duplicates, duplicates)

    def after_restart(self) -> RecordingEmit:
        """One that is at the same place, and knows the same facts."""
        other = RecordingEmit(self.place)
        other.known |= self.known
        return other

    def release(self) -> None:
        """What waits goes on."""
        self.held = False
        self._changed.set()

    @property
    def ids(self) -> list[Any]:
        """The ids of all facts taken, in order, those that came again too."""
        return [id for each in self.emitted for id in each.ids]

    async def wait_for(self, facts: int) -> None:
        """Until so many different facts were taken."""
        while len(self.known) < facts:
            await self._next()

    async def wait_for_offer(self, offers: int) -> None:
        """Until it was called so many times in all, whatever became of it."""
        while len(self.offered) < offers:
            await self._next()

    async def _next(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class RecordingInbox:
    """An `overture.plugin.Inbox`, and the peer of `check_channel` for a channel that keeps messages::

    inbox = RecordingInbox()
    await check_channel(lambda: Banner(config, inbox), inbox)
    """

    to = "ada"

    def __init__(self) -> None:
        self.kept: dict[str, Outgoing] = {}
        self._offered: list[str] = []
        self._script: deque[str] = deque()

    async def script(self, *actions: str) -> None:
        """``accept``, ``refuse`` (the contact is gone), ``defer``, ``drop`` (kept, and nobody says so), ``stall``."""
        self._script.extend(actions)

    def keys(self) -> list[str]:
        """The id of each message that it was offered and did not refuse."""
        return self._offered

    async def put(self, message: Outgoing, *, most: int, days: int) -> bool:
        action = self._script.popleft() if self._script else "accept"
        if action == "refuse":
            return False
        if action == "defer":
            raise RetryLater
        self._offered.append(message.id)
        self.kept.setdefault(message.id, message)
        if action == "drop":
            raise AmbiguousHandOff("The store did not say that it has it.")
        if action == "stall":
            await asyncio.Event().wait()
        return True
