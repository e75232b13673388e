"""Room for others: what a source brings in large numbers goes in pieces while anybody else brings facts too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")

PIECE = 10  # facts
WHOLE = 10_000  # where nobody else is there: as many as are accepted at once
SHARE = 0.25  # of one processor: what this process may have used since a piece began, before the next one does
MOST = 20  # times as long as accepting it took a piece takes at most, however busy others keep the process
LONGEST = 1.0  # seconds that a piece takes at most, whatever else goes on
RECENT = 1.0  # seconds for which others count as there


class Sharing:
    """Of one process. All that bring much take turns, so that together they leave as much room as one.

    ``used``: seconds of processor time of this process. What a fact costs is more than to accept it: it is decided,
    observers are told, messages are made; all that is in there.
    """

    def __init__(self, used: Callable[[], float] = time.process_time) -> None:
        self._used = used
        self._others = 0.0  # when somebody came last who brings what an app does
        self._turn = asyncio.Lock()

    def came(self) -> None:
        self._others = asyncio.get_running_loop().time()

    def pieces(self, things: Sequence[T]) -> aclosing[AsyncGenerator[Sequence[T], None]]:
        """``async with sharing.pieces(facts) as pieces: async for piece in pieces``: at once where nobody else is
        there; nothing at all is one piece, too.
        """
        return aclosing(self._pieces(things))

    async def _pieces(self, things: Sequence[T]) -> AsyncGenerator[Sequence[T], None]:
        loop, done = asyncio.get_running_loop(), 0
        while True:
            async with self._turn:
                began, used = loop.time(), self._used()
                alone = began - self._others > RECENT
                piece = things[done : done + (WHOLE if alone else PIECE)]
                yield piece
                done += len(piece)
                if not alone:
                    await self._leave_room(began, used)
            if done >= len(things):
                return

    async def _leave_room(self, began: float, used: float) -> None:
        loop = asyncio.get_running_loop()
        most = min(MOST * (loop.time() - began), LONGEST)
        while (rest := min((self._used() - used) / SHARE, most) - (loop.time() - began)) > 0:
            await asyncio.sleep(rest)
