"""Sources that bring much leave room for others, and take it all where nobody else is there."""

from __future__ import annotations

import asyncio

from overture.testing import VirtualClock
from overture.web.sharing import PIECE, RECENT, ROOM, Sharing


async def sizes(sharing: Sharing, things: list[int], took: float = 0.0) -> list[int]:
    found: list[int] = []
    async with sharing.pieces(things) as pieces:
        async for piece in pieces:
            found.append(len(piece))
            await asyncio.sleep(took)
    return found


async def test_alone_all_goes_at_once_and_nothing_is_a_piece_too() -> None:
    async with VirtualClock() as clock:
        sharing = Sharing()
        await clock.advance(2 * RECENT)
        assert await sizes(sharing, list(range(1000))) == [1000]
        assert await sizes(sharing, []) == [0]


async def test_while_others_come_it_goes_in_pieces_with_room_in_between() -> None:
    async with VirtualClock() as clock:
        sharing = Sharing()
        sharing.came()
        task = asyncio.create_task(sizes(sharing, list(range(2 * PIECE + 1)), took=0.1))
        await clock.advance(0.1 + 0.1 * ROOM)
        assert not task.done()
        sharing.came()
        await clock.advance(2 * (0.1 + 0.1 * ROOM))
        assert await task == [PIECE, PIECE, 1]


async def test_two_that_bring_much_take_turns() -> None:
    async with VirtualClock() as clock:
        sharing = Sharing()
        sharing.came()
        tasks = [asyncio.create_task(sizes(sharing, list(range(PIECE)), took=0.1)) for _ in range(2)]
        await clock.advance(0.1 + 0.1 * ROOM)
        assert [task.done() for task in tasks] == [True, False]
        await clock.advance(0.1 + 0.1 * ROOM)
        assert [await task for task in tasks] == [[PIECE], [PIECE]]
