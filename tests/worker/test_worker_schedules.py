"""Two workers on one store, and everything that can come between them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from workerkit import PARTITIONS, Bed

USERS = [f"u{i}" for i in range(8)]
VISITORS = [f"anonymous_id:v{i}" for i in range(6)]


@pytest.mark.parametrize("seed", range(6))
async def test_any_schedule_of_faults(store_url: str, tmp_path: Path, seed: int) -> None:
    async with Bed(store_url, tmp_path, seed) as bed:
        dice = bed.dice
        for _ in range(2):
            await bed.join()
        for turn in range(90):
            for _ in range(dice.randint(0, 2)):
                contacts = dice.choices(USERS + VISITORS, k=dice.randint(1, 9))
                await bed.feed(*contacts, type=dice.choice(["counted", "counted", "asked"]))
            match dice.choice(["", "", "", "stall", "leave", "kill", "cut", "cut one", "steal", "steal", "link"]):
                case "stall":
                    dice.choice(bed.members).stall(dice.uniform(0.05, 0.8))
                case "leave" | "kill" as how:
                    how = {"leave": dice.choice(["cancel", "stop"]), "kill": "kill"}[how]
                    await bed.leave(dice.choice(bed.members), how)
                    await bed.join()
                case "cut":
                    bed.cut()
                case "cut one":
                    bed.cut_one()
                case "steal":
                    bed.steal(dice.randrange(PARTITIONS))
                case "link":
                    await bed.link(VISITORS[turn % len(VISITORS)], USERS[turn % len(VISITORS)])
                case _:
                    await asyncio.sleep(dice.uniform(0, 0.03))
        await bed.check()
        assert bed.dead() == []


async def test_a_fact_that_cannot_be_decided_goes_to_the_dead_letters(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        await bed.feed("u1", "u2")
        await bed.feed("u1", type="consent", channel="email")  # no purpose: intake would never let it through
        await bed.feed("u1", "u2", "u1")
        await bed.join()
        await bed.check()
        ((fact, reason),) = bed.dead()
        assert (fact, reason) == ("f00002", "KeyError: 'purpose'")


async def test_a_fact_that_killed_two_workers_goes_to_the_dead_letters(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        await bed.feed("u1")
        member = await bed.join()
        await bed.drained()
        await bed.leave(member, "kill")
        await bed.feed("u1", "u1")
        for epoch in ("101", "102"):  # as two workers left it that vanished with the first of these in hand
            bed.begun("u1", epoch)
        await bed.join()
        await bed.check()
        ((fact, reason),) = bed.dead()
        assert (fact, reason) == ("f00001", "2 workers vanished while deciding it")


async def test_connections_that_break_are_no_reason_to_give_a_fact_up(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        member = await bed.join()
        await bed.feed(*USERS)
        await bed.drained()
        await bed.leave(member, "kill")
        await bed.feed(*USERS * 20)
        await bed.join()  # takes over from one that vanished: one fact after the other, each attempt on record
        for _ in range(60):
            bed.cut()
            await asyncio.sleep(0.02)
        await bed.check()
        assert bed.dead() == []
