"""Taking erased contacts out of the record, interrupted: what has been done of it is not lost for the next try."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from workerkit import PARTITIONS, PATIENCE, Bed

from overture.decide import Plan
from overture.model.ids import partition_of
from overture.rules import link, load
from overture.state import archive, contacts, keys
from overture.state.archive import entries
from overture.state.checkpoint import Checkpoint
from overture.state.lease import Leases
from overture.state.log import unpack
from overture.state.scrubbing import Scrub
from overture.worker.archivist import Archivist
from overture.worker.partition import Partition


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


async def test_told_to_stop_it_lets_go_of_the_files_when_its_thread_has(store_url: str, tmp_path: Path) -> None:
    def is_held() -> bool:
        try:
            with archive.held(bed.archive, 0):
                return False
        except BlockingIOError:
            return True

    async with Bed(store_url, tmp_path) as bed:
        leases = Leases(bed.wire, "worker", "me", 1, PATIENCE)
        (lease,), _ = await leases.refresh()
        order = Scrub("er", "1-0", 0, "1-0")
        bed.store.hset(keys.scrubs(0), "ada", msgspec.msgpack.encode(order))
        (bed.archive / "p000").mkdir(parents=True)
        file = bed.archive / "p000" / "0000000001-1-0-1.ovz"
        os.mkfifo(file)  # who reads it stands still until it is closed by a writer
        plan = Plan(link([load(bed.document)], 1), "durable")
        archivist = Archivist(bed.wire, leases, bed.archive)
        part = Partition(lease, "", Checkpoint("9-0"), plan)
        at_work = asyncio.create_task(archivist.run({0: part}))
        await until(is_held)
        at_work.cancel()
        for _ in range(100):
            await asyncio.sleep(0)
        assert is_held()
        with file.open("wb"):
            pass
        with pytest.raises(asyncio.CancelledError):
            await at_work
        assert not is_held()
