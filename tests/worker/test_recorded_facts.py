"""Reading back what was decided: each fact once, in order, with the version that decided it, without dead letters."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from workerkit import DOCUMENT, PARTITIONS, Bed

from overture.decide import step
from overture.model import Contact
from overture.model.ids import partition_of
from overture.records import Recorded, Recording
from overture.rules import load
from overture.state import keys
from overture.state.registry import Activation
from overture.worker.plans import Plans

PAD = "x" * 9000


async def recordings(bed: Bed) -> list[Recording]:
    return [await Recording.open(bed.wire, bed.archive, p) for p in range(PARTITIONS)]


async def replayed(bed: Bed, recording: Recording) -> dict[str, Contact]:
    """Every contact of a partition, decided anew from nothing."""
    plans = Plans(bed.registry, "reference")
    states: dict[str, Contact] = {}
    for r in recording.facts():
        contact = states.get(r.fact.contact) or Contact(r.fact.contact)
        states[r.fact.contact] = step(contact, r.fact, await plans.plan(r.version), 0).contact
    return states


async def archived(bed: Bed) -> None:
    """Wait until a part of the log is in the archive."""
    for _ in range(400):
        if any(bed.store.xinfo_stream(keys.log(p))["length"] == 0 for p in range(PARTITIONS)):
            return
        await asyncio.sleep(0.05)
    pytest.fail("nothing was archived")


async def test_archive_and_log_are_read_as_one(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        await bed.join()
        people = [f"u{n}" for n in range(12)]
        for _ in range(60):
            await bed.feed(*people, n=1, pad=PAD)
        await archived(bed)
        double = DOCUMENT.replace("add: = fact.n", "add: = fact.n + fact.n")
        await bed.registry.put("count", load(double).revision, double, 0)
        await bed.registry.activate(1, Activation({"count": load(double).revision}), 0)
        await bed.feed(*people, n=10)
        await bed.drained()
        read = [r for recording in await recordings(bed) for r in recording.facts()]
        for person in people:
            mine = [r for r in read if r.fact.contact == person]
            assert [r.fact.id for r in mine] == [f.id for f in bed.fed[person]]
            assert [r.version for r in mine] == [1] * 60 + [2]
            own = await Recording.open(bed.wire, bed.archive, partition_of(person, PARTITIONS))
            assert list(own.facts(person)) == mine
        for recording in await recordings(bed):
            for id, state in (await replayed(bed, recording)).items():
                stored = await bed.contacts.get(id)
                assert state == stored, "decided again it comes out the same, to the last bit"
                assert state.scores == {"sum": 80}
            assert recording.missing == 0


async def test_only_what_is_decided(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        await bed.feed(*["ada"] * 5)  # one entry, of one partition
        await bed.feed("ada")
        p = partition_of("ada", PARTITIONS)
        entry = bed.store.xrange(keys.log(p))[1][0].decode()
        for checkpoint, facts in [("", 0), (f"{entry}/0/1", 5), ("0-0/0/0", 0)]:
            bed.store.set(keys.checkpoint(p), checkpoint)
            recording = await Recording.open(bed.wire, bed.archive, p)
            assert len(list(recording.facts())) == facts
        first = bed.store.xrange(keys.log(p))[0][0].decode()
        bed.store.set(keys.checkpoint(p), f"{first}/3/1")
        recording = await Recording.open(bed.wire, bed.archive, p)
        assert [r.fact.id for r in recording.facts()] == [f.id for f in bed.fed["ada"][:3]]
        assert [r.position for r in recording.facts("ada")] == [0, 1, 2]


async def test_a_fact_that_was_set_aside_was_not_decided(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        await bed.feed("ada")
        member = await bed.join()
        await bed.drained()
        await bed.leave(member, "kill")
        await bed.feed("ada", "ada")
        for epoch in ("101", "102"):  # as two workers left it that vanished with the first of these in hand
            bed.begun("ada", epoch)
        await bed.join()
        await bed.drained()
        assert len(bed.dead()) == 1
        recording = await Recording.open(bed.wire, bed.archive, partition_of("ada", PARTITIONS))
        assert [r.fact.id for r in recording.facts("ada")] == [bed.fed["ada"][0].id, bed.fed["ada"][2].id]


async def test_what_the_archive_lost_is_told(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        await bed.join()
        await bed.feed("ada")
        await bed.feed("ada")
        await bed.drained()
        p = partition_of("ada", PARTITIONS)
        first = bed.store.xrange(keys.log(p))[1][0].decode()
        bed.store.xtrim(keys.log(p), minid=first, approximate=False)  # and the archive does not have it
        recording = await Recording.open(bed.wire, bed.archive, p)
        read: list[Recorded] = list(recording.facts("ada"))
        assert [r.fact.id for r in read] == [f.id for f in bed.fed["ada"]]
        assert recording.missing == 1  # the activation, which came first
