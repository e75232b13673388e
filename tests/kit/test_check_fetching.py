"""The check of a source that fetches catches each way to break the contract, and names it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from overture.plugin import Emit
from overture.testing import RecordingEmit, check_fetching


class Rows:
    """A feed, and what was acknowledged of it."""

    def __init__(self) -> None:
        self.rows = 0
        self.known = 0

    async def grow(self, rows: int) -> None:
        self.rows += rows

    def acknowledged(self) -> int:
        return self.known


class Good:
    """A sound source; each of the others breaks one rule."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    async def run(self, emit: Emit) -> None:
        at = int(emit.place or 0)
        while True:
            if at == self.rows.rows:
                await asyncio.sleep(0.01)
                continue
            await self.one(emit, at)
            at += 1

    async def one(self, emit: Emit, at: int) -> None:
        await emit([self.fact(at)], str(at + 1))
        self.rows.known = max(self.rows.known, at + 1)

    def fact(self, at: int) -> dict[str, Any]:
        return {"id": f"row:{at}", "type": "row_added", "contact": "ada"}

    async def close(self) -> None:
        pass


class AcknowledgesTooEarly(Good):
    async def one(self, emit: Emit, at: int) -> None:
        self.rows.known = max(self.rows.known, at + 1)
        await super().one(emit, at)


class KeepsNoPlace(Good):
    async def one(self, emit: Emit, at: int) -> None:
        await emit([self.fact(at)])


class GoesOnWithout(Good):
    async def one(self, emit: Emit, at: int) -> None:
        try:
            await super().one(emit, at)
        except RuntimeError:
            return


class LosesWhatWasUnderWay(Good):
    async def one(self, emit: Emit, at: int) -> None:
        if at >= self.rows.known:
            self.rows.known = at + 1
            await super().one(emit, at)


class IgnoresCancellation(Good):
    async def run(self, emit: Emit) -> None:
        ended = False
        while not ended:
            try:
                await super().run(emit)
            except asyncio.CancelledError:
                await asyncio.sleep(15)
                ended = True


class Raises(Good):
    def fact(self, at: int) -> dict[str, Any]:
        raise KeyError("row")


class BadFacts(Good):
    def fact(self, at: int) -> dict[str, Any]:
        return {**super().fact(at), "contact": 7}


class EndsAtOnce(Good):
    async def run(self, emit: Emit) -> None:
        return


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (AcknowledgesTooEarly, "nothing is acknowledged to the peer before emit"),
        (KeepsNoPlace, "it goes on from the last place"),
        (GoesOnWithout, "facts that emit.. refused are not skipped"),
        (LosesWhatWasUnderWay, "nothing is acknowledged"),
        (IgnoresCancellation, "must end when it is cancelled"),
        (Raises, "raised KeyError"),
        (BadFacts, "the server refuses a fact"),
        (EndsAtOnce, "3 rows did not become facts"),
    ],
)
async def test_a_broken_source_is_caught(source: type[Good], sentence: str) -> None:
    rows = Rows()
    with pytest.raises(AssertionError, match=sentence):
        await check_fetching(lambda: source(rows), rows)


async def test_a_sound_source_passes() -> None:
    rows = Rows()
    await check_fetching(lambda: Good(rows), rows)


async def test_the_recording_emit_by_hand() -> None:
    emit = RecordingEmit("7")
    assert (await emit([{"id": "a"}, {"id": "b"}], "8")).accepted == 2
    again = await emit([{"id": "a"}])
    assert (again.accepted, again.duplicates, emit.place, emit.ids) == (0, 1, "8", ["a", "b", "a"])
    emit.held = True
    waiting = asyncio.create_task(emit([{"id": "c"}], "9"))
    await emit.wait_for_offer(3)
    assert (emit.place, len(emit.emitted)) == ("8", 2)
    emit.release()
    assert (await waiting).accepted == 1
    assert emit.place == "9"
