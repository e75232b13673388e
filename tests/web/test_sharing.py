"""Sources that bring much leave room for others, and take it all where nobody else is there."""

from __future__ import annotations

import asyncio

from overture.testing import VirtualClock
from overture.web.sharing import LONGEST, PIECE, RECENT, SHARE, Sharing


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


class Processor:
    """What a process has used: as much of the time as is said here."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self) -> float:
        return self.share * asyncio.get_running_loop().time()


async def test_while_others_come_it_goes_in_pieces_with_room_in_between() -> None:
    async with VirtualClock() as clock:
        processor = Processor(1.0)
        sharing = Sharing(processor)
        sharing.came()
        task = asyncio.create_task(sizes(sharing, list(range(2 * PIECE + 1)), took=0.1))
        await clock.advance(0.1 / SHARE + 0.01)
        sharing.came()
        assert not task.done(), "while it is busy for whatever reason, the next piece waits"
        processor.share = SHARE / 2
        await clock.advance(3 * LONGEST)
        assert await task == [PIECE, PIECE, 1]


async def test_a_process_that_others_keep_busy_does_not_starve_it() -> None:
    async with VirtualClock() as clock:
        sharing = Sharing(Processor(1.0))
        sharing.came()
        task = asyncio.create_task(sizes(sharing, list(range(2 * PIECE)), took=0.1))
        await clock.advance(LONGEST - 0.01)
        sharing.came()
        assert not task.done()
        await clock.advance(LONGEST + 0.02)
        assert await task == [PIECE, PIECE]


async def test_two_that_bring_much_take_turns() -> None:
    async with VirtualClock() as clock:
        sharing = Sharing(Processor(2 * SHARE))
        sharing.came()
        tasks = [asyncio.create_task(sizes(sharing, list(range(PIECE)), took=0.1)) for _ in range(2)]
        await clock.advance(LONGEST + 0.01)
        assert [task.done() for task in tasks] == [True, False]
        sharing.came()
        await clock.advance(LONGEST + 0.01)
        assert [await task for task in tasks] == [[PIECE], [PIECE]]
