"""Contacts are woken when something of theirs is due, with no fact from outside."""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from workerkit import PARTITIONS, PATIENCE, Bed

from overture.model import Fact, clock
from overture.model.ids import message_id, partition_of
from overture.state import keys
from overture.state.contacts import TIMELINE, TRIM_EVERY
from overture.state.log import Entry, unpack
from overture.state.outbox import Outbox
from overture.worker.waking import WOKEN

DAY = 86_400_000
USERS = [f"u{i}" for i in range(8)]

LATELY = """\
  lately:
    when: count("counted", within="1s") >= 1
    on_enter:
      - score: {name: entered, add: 1}
    on_leave:
      - score: {name: left, add: 1}
      - send: {channel: email, template: hello, purpose: transactional}
"""
CART = """\
  cart:
    when: seen("counted", within="this week")
"""


async def nobody_due(bed: Bed) -> None:
    """Until nothing is due any more, at any time."""
    deadline = time.monotonic() + PATIENCE

    def due() -> bool:
        return any(bed.store.zcard(keys.due(p)) for p in range(PARTITIONS))

    # Whoever is due is taken from there when its tick is put into the log, and back when that is decided.
    while due() or bed.lag() or due():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def ticks(bed: Bed) -> list[tuple[str, str]]:
    """(contact, id) of the ticks in the log."""
    rows = [row for p in range(PARTITIONS) for _, row in bed.store.xrange(keys.log(p))]
    facts = [fact for row in rows for fact in unpack(next(iter(row.items())))]
    return [(fact.contact, fact.id) for fact in facts if fact.type == "$tick"]


async def test_a_tick_when_nothing_is_due_leaves_no_trace(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        await bed.join()
        await bed.feed("u1")
        await bed.log.append([Entry(Fact("tick:5", "$tick", contact, 5, 5)) for contact in ("u1", "stranger")])
        await bed.feed("u1")
        await bed.check()
        assert [m.fact.id for m in await bed.moments("u1")] == ["f00000", "f00001"]
        assert await bed.contacts.get("stranger") is None


async def test_a_segment_is_left_with_no_fact(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path, more=LATELY) as bed:
        bed.now = clock.now
        await bed.join()
        await bed.feed("u1")
        await bed.drained()
        state = await bed.contacts.get("u1")
        assert state is not None
        assert set(state.segments) == {"some", "lately"}
        assert bed.store.zscore(keys.due(partition_of("u1", PARTITIONS)), "u1") == state.due == state.clock + 1000
        await nobody_due(bed)
        left = await bed.contacts.get("u1")
        assert left is not None
        assert (set(left.segments), left.scores["left"], left.due) == ({"some"}, 1, 0)
        assert [(m.fact.type, m.fact.occurred_at) for m in await bed.moments("u1")] == [
            ("counted", state.clock),
            ("$tick", state.due),
        ]
        p = partition_of("u1", PARTITIONS)
        assert bed.store.zscore(keys.score(p, "left"), "u1") == -1
        assert bed.store.zscore(keys.segment(p, "lately"), "u1") is None
        assert ticks(bed) == [("u1", f"tick:{state.due}")]


async def test_the_cart_is_emptied_on_monday_where_the_contact_lives(store_url: str, tmp_path: Path) -> None:
    """While no worker was there: days later each is woken for its own Monday, the week that clocks went forward too."""
    async with Bed(store_url, tmp_path, more=CART) as bed:
        mondays: dict[str, int] = {}
        for n, zone in enumerate(["Europe/Vienna", "America/New_York", "Asia/Tokyo"]):
            home = ZoneInfo(zone)
            filled = int(datetime(2026, 3, 27, 12, tzinfo=home).timestamp() * 1000)
            mondays[f"u{n}"] = int(datetime(2026, 3, 30, tzinfo=home).timestamp() * 1000)
            said = [("identify", {"timezone": zone}), ("counted", {"n": 1})]
            facts = [Fact(type, type, f"u{n}", filled, filled, properties) for type, properties in said]
            await bed.log.append([Entry(fact) for fact in facts])
        await bed.join()
        await nobody_due(bed)
        for contact, monday in mondays.items():
            *_, last = await bed.moments(contact)
            assert (last.fact.id, last.fact.occurred_at) == (f"tick:{monday}", monday)
            assert [(f.rule, e.kind, e.name, e.after) for f in last.firings for e in f.effects] == [
                ("count/cart.on_leave", "segment", "cart", False)
            ]
            state = await bed.contacts.get(contact)
            assert state is not None
            assert "cart" not in state.segments
        for p in range(PARTITIONS):
            assert bed.store.zcard(keys.segment(p, "cart")) == 0


async def test_a_crowd_that_is_due_at_once_lets_facts_through(store_url: str, tmp_path: Path) -> None:
    """So many are woken at once, and more only when these are decided: what is posted meanwhile comes in between."""
    crowd = [f"c{n}" for n in range(PARTITIONS * WOKEN * 3)]
    past = clock.now() - DAY
    async with Bed(store_url, tmp_path, more=LATELY) as bed:
        facts = [Fact("f", "counted", contact, past, past, {"n": 1}) for contact in crowd]
        await bed.log.append([Entry(fact) for fact in facts])
        await bed.join()
        await nobody_due(bed)
        woken = ticks(bed)
        assert sorted(contact for contact, _ in woken) == sorted(crowd)
        assert len(bed.messages()) == len(crowd)
        contact, tick = woken[0]
        (delivery,) = await Outbox(bed.wire, PARTITIONS).find_all(
            [message_id(contact, tick, "count/lately.on_leave", 0)]
        )
        assert delivery.message.created_at == past + 1000  # as of then, though it is decided now and tried for days
        assert delivery.queued_at >= past + DAY
        for p in range(PARTITIONS):
            before: list[Fact] = []
            for id, row in bed.store.xrange(keys.log(p)):
                batch = [fact for fact in unpack(next(iter(row.items()))) if fact.type == "$tick"]
                assert len(batch) <= WOKEN
                if before:
                    *_, last = await bed.moments(before[-1].contact)
                    assert last.at <= int(id.partition(b"-")[0])
                before = batch


@pytest.mark.parametrize("seed", range(3))
async def test_nobody_is_woken_twice_or_forgotten_whatever_happens(store_url: str, tmp_path: Path, seed: int) -> None:
    """Workers stall, vanish and lose their leases: who entered has left, once for each time."""
    async with Bed(store_url, tmp_path, seed, more=LATELY) as bed:
        bed.now = clock.now
        dice = bed.dice
        for _ in range(2):
            await bed.join()
        for _ in range(60):
            await bed.feed(*dice.choices(USERS, k=dice.randint(1, 4)))
            match dice.choice(["", "", "", "stall", "leave", "kill", "cut", "cut one", "steal", "steal"]):
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
                case _:
                    await asyncio.sleep(dice.uniform(0, 0.2))
        await bed.drained()
        await nobody_due(bed)
        assert bed.dead() == []
        left = 0
        for contact in bed.fed:
            state = await bed.contacts.get(contact)
            assert state is not None
            moments = await bed.moments(contact)
            woken = [m.fact.id for m in moments if m.fact.type == "$tick"]
            assert "lately" not in state.segments
            assert state.scores["entered"] == state.scores["left"] == len(woken) == len(set(woken))
            assert [m.seq for m in moments] == list(range(1, state.seq + 1))
            assert state.scores["sum"] == len(bed.fed[contact])
            left += len(woken)
        assert len(bed.messages()) == left


async def test_a_long_absence_is_caught_up_with(store_url: str, tmp_path: Path) -> None:
    """Each contact has a thousand instants to go through; meanwhile the workers must come to renew their leases."""
    hours = "  even:\n    when: local(now()).hour % 2 == 0 and contact.scores.sum >= 1\n"
    past = clock.now() - 200 * DAY
    async with Bed(store_url, tmp_path, more=hours) as bed:
        facts = [Fact("f", "counted", f"c{n}", past, past, {"n": 1}) for n in range(40)]
        await bed.log.append([Entry(fact) for fact in facts])
        for _ in range(2):
            await bed.join()
        deadline = time.monotonic() + 2 * PATIENCE
        while bed.lag() or any(bed.store.zcount(keys.due(p), 0, clock.now()) for p in range(PARTITIONS)):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert bed.dead() == []
        assert len(ticks(bed)) == len(facts)
        for n in range(len(facts)):
            state = await bed.contacts.get(f"c{n}")
            assert state is not None
            assert state.clock > past + 199 * DAY
            moments = await bed.moments(f"c{n}")
            assert [(e.kind, e.reason) for e in moments[-1].effects] == [("tick", "ticks.too_many")]
            assert len(moments) <= TIMELINE + TRIM_EVERY
