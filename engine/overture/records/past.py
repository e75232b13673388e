"""Finding one moment of a contact's past: the fact asked about, and everything as it stood when it was decided."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from overture.model import Fact, Overloaded
from overture.model.ids import partition_of
from overture.model.script import Ask, unavailable
from overture.records.recorded import Recording
from overture.records.replay import Moment, Wanted, leads_to, replay
from overture.rules.program import Program
from overture.state.wire import Wire

PATIENCE = 30.0  # seconds for the rulesets of one version
WAITING = 16  # questions that wait for their turn
_fact = msgspec.msgpack.Decoder(Fact).decode


@dataclass(frozen=True, slots=True)
class Found:
    """``contact`` is the one that the moment was decided for: the one asked about, or one that was merged into it.

    ``moment`` is None where there was none; ``missing``: log entries of its partition that are no longer recorded, so
    that what was found cannot be relied on; ``set_aside``: the fact asked about, if nothing could decide it.
    """

    contact: str
    moment: Moment | None = None
    missing: int = 0
    set_aside: Fact | None = None


class Past:
    """Asks recorded facts. One question at a time is worked on: each reads a partition's archive.

    ``ask``: has scripts answer, as it did then. Raises Overloaded ``explain.busy`` where too many wait.
    """

    def __init__(
        self,
        wire: Wire,
        archive: Path,
        partitions: int,
        program_of: Callable[[int], Awaitable[Program]],
        ask: Ask = unavailable,
    ) -> None:
        self._ask = ask
        self._wire = wire
        self._archive = archive
        self._partitions = partitions
        self._program_of = program_of
        self._turn = asyncio.Lock()
        self._waiting = 0

    async def of_fact(self, contact: str, id: str) -> Found:
        """The moment at which a fact was decided; the id of a derived one leads to the fact that it was derived from.

        What was decided for contacts that were merged into this one counts. Of several facts with the id, the newest.
        """
        # An instant is decided on the way to whatever fact comes next.
        return await self._find(
            contact, lambda _, fact: _any if id.startswith("tick:") or leads_to(fact.id, id) else _none, id
        )

    async def newest(self, contact: str, types: Callable[[Program], frozenset[str]]) -> Found:
        """The last moment at which a fact of one of some types was shown to the rules, posted or derived."""
        return await self._find(contact, lambda program, _: lambda shown: shown.type in types(program), "")

    async def _find(self, contact: str, wanted: Callable[[Program, Fact], Wanted], id: str) -> Found:
        loop = asyncio.get_running_loop()

        def program_of(version: int) -> Program:
            async def load() -> Program:
                return await self._program_of(version)

            return asyncio.run_coroutine_threadsafe(load(), loop).result(PATIENCE)

        if self._waiting >= WAITING:
            raise Overloaded("explain.busy", "Too many questions about the past wait for an answer.", 5)
        self._waiting += 1
        try:
            async with self._turn:
                recording = await Recording.open(self._wire, self._archive, partition_of(contact, self._partitions))
                moments = await asyncio.to_thread(
                    lambda: list(_candidates(replay(recording, contact, program_of, wanted, self._ask), id))
                )
        finally:
            self._waiting -= 1
        for moment in reversed(moments):
            if isinstance(moment, Moment):
                return Found(contact, moment, recording.missing)
            found = await self._find(moment, wanted, id)
            if found.moment is not None:
                return found
        aside = next((f for f in map(_fact, recording.dead) if f.contact == contact and id and f.id == id), None)
        return Found(contact, None, recording.missing, aside)


def _candidates(moments: Iterator[Moment], id: str) -> Iterator[Moment | str]:
    """In their order: contacts merged in, and between them the last moment with something wanted."""
    last: Moment | None = None
    for moment in moments:
        fact = moment.recorded.fact
        if any(not id or sight.fact.id == id for sight in moment.shown) or (fact.id == id and not moment.step.forwards):
            last = moment
        if fact.type == "$merge":
            if last is not None:
                yield last
            last = None
            yield str(fact.properties["from"])
    if last is not None:
        yield last


def _any(_: Fact) -> bool:
    return True


def _none(_: Fact) -> bool:
    return False
