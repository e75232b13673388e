"""Models that learn: exactly once from each example, whatever is killed, and what was learned decides."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator

import pytest

from overture.deploy import online
from overture.deploy.learners import Learners
from overture.deploy.settling import Settling
from overture.model import Contact, Fact, Step, StoreUnavailable, Trace
from overture.model.artefact import Feature, Linear, predict
from overture.model.example import Outcome
from overture.model.learned import Learned
from overture.node.models import ModelService
from overture.rules import Ruleset, load
from overture.state import examples, keys, learners
from overture.state.lease import Leases
from overture.state.registry import Activation, Registry
from overture.state.wire import Wire
from overture.web.modelled import Pin
from overture.worker.plans import Plans

PARTITIONS = 4
SHOP = """
apiVersion: overture/v1
kind: Ruleset
name: shop
facts: {seen: {}, bought: {}}
traits: {country: "string?"}
scores: {likely: {}}
models:
  buys:
    predict: fact.type == "bought"
    within: 7d
    features: {visits: 'count("seen", within="30d")', country: contact.country}
rules:
  score: {when: 'fact.type == "seen"', then: [{score: {name: likely, by: buys}}]}
"""


def made(n: int, seed: int = 0) -> list[tuple[dict[str, Feature], bool]]:
    """Who visits often buys, and somewhat more in Germany."""
    dice = random.Random(seed)
    found: list[tuple[dict[str, Feature], bool]] = []
    for _ in range(n):
        visits, country = dice.randrange(6), dice.choice(["DE", "FR", None])
        odds = -2.5 + visits + (0.7 if country == "DE" else 0)
        found.append(({"visits": float(visits), "country": country}, dice.random() < 1 / (1 + 2.718**-odds)))
    return found


class Bed:
    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.ruleset: Ruleset = load(SHOP)
        self.model = self.ruleset.models["buys"]
        self.registry = Registry(wire, PARTITIONS)
        self.leases = Leases(wire, "worker", "bed", PARTITIONS, 30)
        self.service = ModelService(wire, self.registry, Plans(self.registry, "reference"))

    async def open(self) -> Bed:
        await self.registry.put("shop", self.ruleset.revision, SHOP, 0)
        await self.registry.activate(0, Activation({"shop": self.ruleset.revision}), 0)
        await self.leases.refresh()
        return self

    def learners(self, every: int = 0) -> Learners:
        """As after a start: nothing at hand."""
        plans = Plans(self.registry, "reference")
        return Learners(self.wire, self.leases, self.registry, plans, PARTITIONS, every)

    async def count(self, told: list[tuple[dict[str, Feature], bool]]) -> None:
        """As commits do."""
        for n, (features, met) in enumerate(told):
            fact = Fact(f"f{n}", "$tick", "ada", n, n)
            outcomes = [(self.model.key, Outcome(n, features, met))]
            step = Step(Contact("ada"), Trace(1, fact, 1, 0), outcomes=outcomes)
            for command in examples.counted(n % PARTITIONS, [step]):
                await self.wire.call(*command)

    async def learned(self) -> Learned:
        return (await learners.load(self.wire))[self.model.key].learned

    async def left(self) -> int:
        streams = (self.wire.call("XLEN", keys.examples(p, self.model.key)) for p in range(PARTITIONS))
        return sum(await asyncio.gather(*streams))

    async def deciding(self) -> Linear:
        version = await self.registry.version()
        artefact = (await Plans(self.registry, "reference").program(version)).learned["shop/buys"]
        assert isinstance(artefact, Linear)
        return artefact


@pytest.fixture
async def bed(store_url: str) -> AsyncGenerator[Bed]:
    wire = await Wire.connect(store_url)
    yield await Bed(wire).open()
    await wire.close()


async def test_what_was_learned_decides_once_it_is_good_for_something(bed: Bed) -> None:
    await bed.count(made(60))
    assert await bed.learners().settle() == []
    (state,) = await bed.service.list()
    assert (state.version, state.examples, state.waits[:15]) == (None, 60, "It has 60 examp")
    await bed.count(made(340, 1))
    assert await bed.learners().settle() == ["shop/buys"]
    assert await bed.left() == 0
    (state,) = await bed.service.list()
    assert (state.examples, state.trained_on, state.waits) == (400, 400, "")
    assert state.measured is not None
    assert state.measured.auc is not None
    assert state.measured.auc > 0.75
    assert state.measured.log_loss < state.measured.base_log_loss
    artefact = await bed.deciding()
    many, few = ({"visits": n, "country": "DE"} for n in (5.0, 0.0))
    assert predict(artefact, many).probability > 0.8 > 0.4 > predict(artefact, few).probability
    assert artefact.edition == bed.model.edition
    assert await bed.learners().settle() == []  # nothing new


async def test_what_cannot_be_read_for_one_keeps_no_other_from_being_decided(bed: Bed, store_url: str) -> None:
    await bed.count(made(400))
    cut_off = await Wire.connect(store_url)
    await cut_off.close()
    plans = Plans(bed.registry, "reference")
    first = Learners(cut_off, bed.leases, bed.registry, plans, PARTITIONS, 0)
    assert await Settling(first, bed.learners()).settle()
    assert (await bed.learned()).examples == 400
    with pytest.raises(StoreUnavailable):
        await Settling(first, bed.learners()).settle()

    await bed.wire.call("HSET", keys.LEARNERS, bed.model.key, b"no msgpack")
    assert not await Settling(bed.learners()).settle()


async def test_noise_never_decides(bed: Bed) -> None:
    dice = random.Random(5)
    await bed.count([({"visits": dice.random(), "country": None}, dice.random() < 0.3) for _ in range(400)])
    assert await bed.learners().settle() == []
    (state,) = await bed.service.list()
    assert state.waits == "So far it predicts no better than the base rate."


async def test_a_version_is_pinned_gone_back_to_and_let_go(bed: Bed) -> None:
    await bed.count(made(300))
    assert await bed.learners().settle() == ["shop/buys"]
    (first,) = await bed.service.list()
    await bed.count(made(300, 2))
    assert await bed.learners().settle() == ["shop/buys"]
    told = await bed.service.pin("shop/buys", Pin(True, first.version))
    assert told.version == first.version
    await bed.count(made(300, 3))
    assert await bed.learners().settle() == []
    (state,) = await bed.service.list()
    assert (state.version, state.pinned, state.waits) == (first.version, True, "A version is pinned.")
    assert state.examples == 900  # it goes on learning
    await bed.service.pin("shop/buys", Pin(False))
    assert await bed.learners().settle() == ["shop/buys"]
    assert not (await bed.service.list())[0].pinned


async def test_it_changes_no_more_often_than_it_may(bed: Bed) -> None:
    await bed.count(made(300))
    often = bed.learners(60_000)
    assert await often.settle() == ["shop/buys"]
    await bed.count(made(300, 2))
    assert await often.settle() == []
    assert (await bed.learned()).examples == 600


@pytest.mark.parametrize("seed", range(6))
async def test_each_example_counts_once_whatever_is_killed(bed: Bed, seed: int) -> None:
    """What is cancelled in the middle of waiting for the store is, to the store, killed there."""
    dice = random.Random(seed)
    told = made(400, seed)
    for at in range(0, 400, 50):
        await bed.count(told[at : at + 50])
        task = asyncio.create_task(bed.learners().settle())
        for _ in range(dice.randrange(40)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    await bed.learners().settle()
    learned = await bed.learned()
    assert (learned.examples, learned.yes) == (400, sum(met for _, met in told))
    assert sorted(row.met for row in learned.recent) == sorted(met for _, met in told)


async def test_whoever_lost_the_partition_changes_nothing(bed: Bed) -> None:
    await bed.count(made(50))
    other = Leases(bed.wire, "worker", "other", PARTITIONS, 30)
    late = bed.learners()
    await bed.wire.call("HSET", keys.owner(0, "worker"), "epoch", 99)
    assert other.held == {}
    with pytest.raises(Exception, match="no longer this process's"):
        await late.settle()
    assert await learners.load(bed.wire) == {}
    assert await bed.left() == 50


def test_what_is_taken_up_again_comes_to_the_same_and_the_artefact_says_what_the_learner_would() -> None:
    told = made(500)
    whole, parts = Learned(), Learned()
    online.learn(whole, told)
    for at in range(0, 500, 100):
        online.learn(parts, told[at : at + 100])
    assert online.artefact(parts, "e", 0).weights.keys() == online.artefact(whole, "e", 0).weights.keys()
    for row, other in zip(parts.recent, whole.recent, strict=True):
        assert row.raw == pytest.approx(other.raw)
    before = online.artefact(whole, "e", 0)
    features, met = made(1, 9)[0]
    said = predict(before, features)
    online.learn(whole, [(features, met)])
    assert whole.recent[-1].probability == pytest.approx(said.probability, abs=0.02)  # the scaling has seen it since
