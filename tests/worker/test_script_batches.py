"""Facts whose rules ask scripts, in batches of any length: decided as they are one by one, with the answers given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Generator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workerkit import Bed

from overture.decide.asked import step_asking
from overture.model import Contact, Fact, Overloaded, Step
from overture.model.script import Call, Said
from overture.rules import load
from overture.sandbox.lanes import Lanes
from overture.state import keys
from overture.state.checkpoint import Checkpoint
from overture.state.contacts import encode
from overture.state.lease import Lease, Leases
from overture.state.registry import Activation
from overture.worker.batch import decide_batch
from overture.worker.commit import Committer
from overture.worker.partition import Partition
from overture.worker.plans import Plans
from overture.worker.recovery import Recovery
from overture.worker.replies import Replies

HEAD = """\
apiVersion: overture/v1
kind: Ruleset
name: scripted
facts: {plain: {n: int}, once: {n: int}, twice: {n: int}}
traits: {before: "number?"}
scores: {sum: {}, fit: {}}
rules:
  plain: {when: 'fact.type in ["plain", "once"]', then: [{score: {name: sum, add: = fact.n}}]}
"""
SCRIPTED = """
scripts:
  note:
    changes: {set: before, score: sum}
    code: |
      def main(fact, contact):
          return {"set": {"before": contact["scores"]["sum"]}, "score": {"sum": fact["n"]}}
  fit: |
    def main(contact):
        return contact["scores"]["sum"] * 2
"""
ONE = """\
  note: {when: 'fact.type in ["once", "twice"]', then: [{run: note}]}
  fit: {when: fact.type == "twice", then: [{score: {name: fit, by: fit}}]}
"""
TWO = """\
  fit: {when: fact.type == "once", then: [{score: {name: fit, by: fit}}]}
"""
VERSIONS = (HEAD + ONE + SCRIPTED, HEAD + TWO + SCRIPTED, HEAD)


def answered(calls: Sequence[Call]) -> list[Said]:
    """What the two scripts say, worked out here."""
    found: list[Said] = []
    for call in calls:
        seen = json.loads(call.given)
        total = seen["contact"]["scores"]["sum"]
        note = {"set": {"before": total}, "score": {"sum": seen.get("fact", {}).get("n")}}
        found.append(Said(note if call.script.name == "note" else total * 2))
    return found


@pytest.fixture
async def plans(store_url: str, tmp_path: Path) -> AsyncGenerator[Plans]:
    """Versions 1 to 3, at hand: no example asks the store."""
    async with Bed(store_url, tmp_path) as bed:
        plans = Plans(bed.registry, "reference")
        version = await bed.registry.version()
        for text in VERSIONS:
            ruleset = load(text)
            await bed.registry.put("scripted", ruleset.revision, text, 1)
            version = await bed.registry.activate(version, Activation({"scripted": ruleset.revision}), 1)
            await plans.plan(version)
        assert version == 1 + len(VERSIONS)
        yield plans


@pytest.fixture(scope="module")
def lanes() -> Generator[Lanes]:
    with Lanes(2, 1000) as lanes:
        yield lanes


_POSTED = st.tuples(st.sampled_from("abc"), st.sampled_from(["plain", "once", "twice"]), st.integers(-5, 5))
_ACTIVATED = st.sampled_from([2, 3, 4])


def facts_of(drawn: list[Any]) -> list[Fact]:
    return [
        Fact(f"f{n}", "$activate", "", n, n, {"version": each})
        if isinstance(each, int)
        else Fact(f"f{n}", each[1], each[0], 1_800_000_000_000 + n, 1_800_000_000_000 + n, {"n": each[2]})
        for n, each in enumerate(drawn, 1)
    ]


def told(steps: Sequence[Step]) -> list[bytes]:
    """All of it but the instant at which it was decided."""
    return [encode((msgspec.structs.replace(step.trace, at=0), step.contact, step.scores)) for step in steps]


def test_in_any_batching_it_comes_out_as_one_by_one(plans: Plans, lanes: Lanes) -> None:
    async def in_batches(facts: list[Fact], cuts: list[int]) -> list[Step]:
        part = Partition(Lease(0, 1), "", Checkpoint("0-0", 0, 2), await plans.plan(2))
        part.pending.append(("1-0", facts, 1))
        steps: list[Step] = []
        while ahead := part.ahead(cuts[len(steps) % len(cuts)]):
            batch = await decide_batch(part, ahead, plans, lanes.run)
            assert not batch.dead
            part.at = batch.after
            steps += batch.steps
        return steps

    async def one_by_one(facts: list[Fact]) -> list[Step]:
        contacts: dict[str, Contact] = {}
        plan, steps = await plans.plan(2), list[Step]()
        for fact in facts:
            if fact.type == "$activate":
                plan = await plans.plan(fact.properties["version"])
                continue
            contact = contacts.get(fact.contact) or Contact(fact.contact)
            steps.append(step_asking(contact, fact, plan, 0, answered))
            contacts[fact.contact] = steps[-1].contact
        return steps

    @settings(max_examples=60)
    @given(
        st.lists(st.one_of(_POSTED, _POSTED, _POSTED, _ACTIVATED), min_size=1, max_size=40),
        st.lists(st.integers(1, 40), min_size=1),
    )
    def holds(drawn: list[Any], cuts: list[int]) -> None:
        facts = facts_of(drawn)
        batched, single = asyncio.run(in_batches(facts, cuts)), asyncio.run(one_by_one(facts))
        assert told(batched) == told(single)

    holds()


async def test_what_many_contacts_ask_is_asked_in_one_go(plans: Plans) -> None:
    asked: list[int] = []

    async def run(calls: Sequence[Call]) -> list[Said]:
        asked.append(len(calls))
        return answered(calls)

    facts = facts_of([(name, kind, 1) for name in "abcdefgh" for kind in ("plain", "twice", "once")])
    part = Partition(Lease(0, 1), "", Checkpoint("0-0", 0, 2), await plans.plan(2))
    part.pending.append(("1-0", facts, 1))

    batch = await decide_batch(part, facts, plans, run)

    assert [step.trace.fact.id for step in batch.steps] == [fact.id for fact in facts]
    assert asked == [8, 8, 8]  # two of the second fact, one of the third


async def none_to_be_had(calls: Sequence[Call]) -> list[Said]:
    raise Overloaded("script.unavailable", "No process can be had.", status=503)


async def test_where_no_script_can_be_asked_nothing_is_decided_and_nothing_lost(plans: Plans) -> None:
    facts = facts_of([("a", "plain", 1), ("a", "once", 1)])
    part = Partition(Lease(0, 1), "", Checkpoint("0-0", 0, 2), await plans.plan(2))
    part.pending.append(("1-0", facts, 1))

    with pytest.raises(Overloaded):
        await decide_batch(part, facts, plans, none_to_be_had)
    assert part.at == Checkpoint("0-0", 0, 2)


async def test_a_fact_whose_script_cannot_be_asked_has_killed_nobody(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        ruleset = load(VERSIONS[0])
        await bed.registry.put("scripted", ruleset.revision, VERSIONS[0], 1)
        await bed.registry.activate(1, Activation({"scripted": ruleset.revision}), 1)
        plans, leases = Plans(bed.registry, "reference"), Leases(bed.wire, "worker", "recovering", 1, 30)
        committer = Committer(bed.wire, leases, bed.log, Replies(store_url, "recovering"))
        part = Partition(Lease(0, 1, taken_over=True), "", Checkpoint("0-0", 0, 2), await plans.plan(2), recovering=1)
        part.pending.append(("1-0", facts_of([("a", "once", 1)]), 1))

        with pytest.raises(Overloaded):
            await Recovery(bed.wire, plans, committer, none_to_be_had).go_on(part)

        assert part.at == Checkpoint("0-0", 0, 2)
        assert bed.store.hlen(keys.tries(0)) == 0
