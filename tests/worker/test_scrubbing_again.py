"""Taking erased contacts out of the record, interrupted: what has been done of it is not lost for the next try."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from workerkit import PARTITIONS, PATIENCE, Bed

from overture.model.ids import partition_of
from overture.state import contacts, keys
from overture.state.archive import entries
from overture.state.log import unpack
from overture.state.scrubbing import Scrub


async def until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not check():
            await asyncio.sleep(0.02)


def order(bed: Bed, p: int) -> Scrub:
    return msgspec.msgpack.decode(bed.store.hget(keys.scrubs(p), "ada") or b"", type=Scrub)


@pytest.mark.parametrize(("counted", "told"), [(0, 2), (7, 7)], ids=["first", "some files were written anew before"])
async def test_facts_set_aside_go_although_the_store_fails_in_between(
    store_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, counted: int, told: int
) -> None:
    p = partition_of("ada", PARTITIONS)
    other = next(name for n in range(99) if partition_of(name := f"u{n}", PARTITIONS) == p)
    async with Bed(store_url, tmp_path) as bed:
        await bed.join()
        for name in ("ada", other, "ada"):
            await bed.feed(name)
        await bed.drained()
        log = bed.store.xrange(keys.log(p))
        for _, row in log:
            for fact in unpack(next(iter(row.items()))):
                if fact.contact:
                    bed.store.xadd("aside", {"fact": contacts.encode(fact), "reason": "of this test"})
        bed.store.set(keys.dead(p), "no such list")
        last = log[-1][0].decode()
        bed.store.hset(keys.scrubs(p), "ada", msgspec.msgpack.encode(Scrub("er", last, 0, last, False, counted)))
        await until(lambda: "cannot be archived now" in caplog.text)
        assert not order(bed, p).done
        bed.store.rename("aside", keys.dead(p))
        await until(lambda: order(bed, p).done)
        assert order(bed, p).facts == told
        left = [row[b"fact"] for _, row in bed.store.xrange(keys.dead(p))]
        assert [unpack([b"f", b"\x91" + blob])[0].contact for blob in left] == [other]
        facts = [fact for _, blob in entries(bed.archive, p) for fact in unpack([b"f", blob])]
        assert [fact.contact for fact in facts if fact.type in ("counted", "$erased")] == ["", other, ""]
