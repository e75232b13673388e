"""What became of contacts on journeys is counted once, whatever comes between the workers; how sure a difference is."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from workerkit import PARTITIONS, Bed

from overture.model import Fact, clock
from overture.model.intervals import FEW, difference
from overture.state.funnel import Funnels
from overture.state.log import Entry

JOURNEYS = """\
journeys:
  pass:
    enter_when: fact.type == "counted"
    reentry: always
    steps:
      - {id: pick, split: [{name: one, weight: 50, go: first}, {name: two, weight: 50, go: second}]}
      - {id: first, score: {name: entered, add: 1}, then: end}
      - {id: second, send: {channel: email, template: hello, purpose: transactional}}
  stay:
    enter_when: fact.type == "asked"
    reentry: always
    exit_when: fact.type == "counted"
    steps:
      - {id: wait, wait: {until: contact.scores.sum < 0}}
"""
DAY = 86_400_000
USERS = [f"u{i}" for i in range(8)]


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_counts_twice_or_not_at_all(store_url: str, tmp_path: Path, seed: int) -> None:
    async with Bed(store_url, tmp_path, seed, JOURNEYS) as bed:
        dice = bed.dice
        for _ in range(2):
            await bed.join()
        for _ in range(40):
            for _ in range(dice.randint(0, 2)):
                await bed.feed(*dice.choices(USERS, k=dice.randint(1, 9)), type=dice.choice(["counted", "asked"]))
            match dice.choice(["", "", "kill", "stall", "cut", "steal"]):
                case "kill":
                    await bed.leave(dice.choice(bed.members), "kill")
                    await bed.join()
                case "stall":
                    dice.choice(bed.members).stall(dice.uniform(0.05, 0.6))
                case "cut":
                    bed.cut()
                case "steal":
                    bed.steal(dice.randrange(PARTITIONS))
                case _:
                    await asyncio.sleep(dice.uniform(0, 0.05))
        await bed.drained()
        expected: Counter[tuple[str, str, str, str]] = Counter()
        dead = {id for id, _ in bed.dead()}
        for facts in bed.fed.values():
            under_way = False
            for fact in facts:
                if fact.id in dead:
                    continue
                if fact.type == "counted":
                    expected["pass", "entered", "", ""] += 1
                    expected["pass", "ended", "", "done"] += 1
                    if under_way:
                        expected["stay", "ended", "wait", "exit"] += 1
                elif not under_way:
                    expected["stay", "entered", "", ""] += 1
                    expected["stay", "came", "wait", ""] += 1
                under_way = fact.type == "asked"
        funnels = Funnels(bed.wire, PARTITIONS)
        found: Counter[tuple[str, str, str, str]] = Counter()
        ways: Counter[str] = Counter()
        for name in ("pass", "stay"):
            for cell, n in (await funnels.of(f"count/{name}")).items():
                assert cell.group == ""
                if cell.variant and cell.what in ("entered", "ended"):
                    ways[f"{cell.what} {cell.variant}"] += n
                elif (not cell.variant and cell.what in ("entered", "ended")) or (name, cell.what) == ("stay", "came"):
                    found[name, cell.what, cell.step if name == "stay" else "", cell.detail] += n
                elif cell.what == "messages":
                    ways["messages"] += n
        assert found == expected
        assert ways["entered pick=one"] + ways["entered pick=two"] == expected["pass", "entered", "", ""]
        assert ways["messages"] == ways["entered pick=two"] == ways["ended pick=two"]


CONTEST = """\
journeys:
  offer:
    enter_when: fact.type == "asked"
    goal: fact.type == "counted"
    steps:
      - {id: test, split: [{name: one, weight: 1, go: rest}, {name: two, weight: 1, go: rest}], winner: {within: 7d}}
      - {id: rest, wait: {for: 10d}}
"""


async def test_who_becomes_known_just_when_it_is_to_count_is_counted_and_stops_nobody(
    store_url: str, tmp_path: Path
) -> None:
    """The link is decided together with what was due before it, and leaves an empty contact behind."""
    entered = clock.now() - 8 * DAY
    async with Bed(store_url, tmp_path, more=CONTEST) as bed:
        bed.now = lambda: entered
        await bed.feed("anonymous_id:v", type="asked")
        link = Fact("link", "$link", "anonymous_id:v", clock.now(), clock.now(), {"into": "ada"})
        await bed.log.append([Entry(link)])
        await bed.feed(*USERS, type="asked")
        await bed.join()
        await bed.drained()
        counts = await Funnels(bed.wire, PARTITIONS).of("count/offer")
        assert sum(n for cell, n in counts.items() if cell.what == "outcome") >= 1
        assert [await bed.moments(user) for user in USERS if not await bed.moments(user)] == []


async def test_without_journeys_nothing_is_counted(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        await bed.join()
        await bed.feed(*USERS, type="asked")
        await bed.drained()
        assert len(bed.messages()) == len(USERS)
        assert not bed.store.keys("ov:{*}:fn:*")


def test_the_interval_of_a_difference_is_that_of_the_literature() -> None:
    """Newcombe (1998), table II: 56/70 less 48/80, by method 10."""
    found = difference(56, 70, 48, 80)
    assert found is not None
    assert [round(value, 4) for value in found] == [0.2, 0.0524, 0.3339]
    assert difference(FEW - 1, FEW - 1, 48, 80) is None
    assert difference(0, FEW, 0, FEW) is not None
