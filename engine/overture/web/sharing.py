"""Room for others: what a source brings in large numbers goes in pieces while anybody else brings facts too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")

PIECE = 20  # facts
ROOM = 3.0  # times as long as a piece took is left: deciding facts costs about as much more than accepting them
RECENT = 1.0  # seconds for which others count as there


class Sharing:
    """Of one process. All that bring much take turns, so that together they leave as much room as one."""

    def __init__(self) -> None:
        self._others = 0.0  # when somebody came last who brings what an app does
        self._turn = asyncio.Lock()

    def came(self) -> None:
        self._others = asyncio.get_running_loop().time()

    def pieces(self, things: Sequence[T]) -> aclosing[AsyncGenerator[Sequence[T], None]]:
        """``async with sharing.pieces(facts) as pieces: async for piece in pieces``: all at once where nobody else is
        there; nothing at all is one piece, too.
        """
        return aclosing(self._pieces(things))

    async def _pieces(self, things: Sequence[T]) -> AsyncGenerator[Sequence[T], None]:
        loop, done = asyncio.get_running_loop(), 0
        while True:
            async with self._turn:
                began = loop.time()
                alone = began - self._others > RECENT
                piece = things[done:] if alone else things[done : done + PIECE]
                yield piece
                done += len(piece)
                if not alone:
                    await asyncio.sleep((loop.time() - began) * ROOM)
            if done >= len(things):
                return
