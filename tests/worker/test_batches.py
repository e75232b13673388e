"""How much one commit holds: facts are decided in their order, each once, wherever a batch ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from workerkit import Bed

from overture.model import Contact, Fact, Score, Step, Trace
from overture.model.example import Example
from overture.rules import load
from overture.state.checkpoint import Checkpoint
from overture.state.contacts import encode
from overture.state.lease import Lease
from overture.state.registry import Activation
from overture.worker.batch import COMMIT_BYTES, decide_batch
from overture.worker.decisions import KEYS_SHOWN, decision
from overture.worker.partition import RECOVERED, Partition
from overture.worker.plans import Plans

LARGE = {f"t{n}": "x" * 50_000 for n in range(5)}


async def partition(bed: Bed, *entries: list[Fact]) -> tuple[Partition, Plans]:
    """A partition that has read these log entries."""
    plans = Plans(bed.registry, "reference")
    part = Partition(Lease(0, 1), "", Checkpoint("0-0", 0, 1), await plans.plan(1))
    part.pending.extend((f"{n}-0", facts, len(encode(facts))) for n, facts in enumerate(entries, 1))
    return part, plans


async def through(part: Partition, plans: Plans) -> list[list[Step]]:
    """All batches, as the worker makes them, with what it does after each commit."""
    batches: list[list[Step]] = []
    stored: dict[str, Contact] = {}
    while facts := part.ahead(part.limit):
        part.cache.update({f.contact: stored[f.contact] for f in facts if f.contact in stored})
        batch = await decide_batch(part, facts, plans)
        stored |= {step.contact.id: step.contact for step in batch.steps}
        part.at = batch.after
        part.trim(step.contact for step in batch.steps)
        batches.append(batch.steps)
    return batches


def counted(*names: str, size: int = 0) -> list[Fact]:
    return [Fact(f"{name}-{n}", "counted", name, 1, 1, {"n": 1, "s": "x" * size}) for n, name in enumerate(names)]


async def test_ordinary_contacts_share_a_commit(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        part, plans = await partition(bed, counted(*"abc" * 100), counted(*"abcde" * 100))
        batches = await through(part, plans)
        assert [len(steps) for steps in batches] == [RECOVERED, 800 - RECOVERED]
        assert part.at == Checkpoint("2-0", 0, 1)
        assert set(part.cache) == set("abcde")


async def test_a_commit_ends_where_it_holds_enough(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        names = [f"c{n}" for n in range(200)]
        identify = [Fact(f"i-{name}-{m}", "identify", name, 1, 1, {m: LARGE[m]}) for name in names for m in LARGE]
        entries = [identify[i : i + 16] for i in range(0, len(identify), 16)]
        part, plans = await partition(bed, *entries, counted(*names), counted(*names))
        batches = await through(part, plans)
        decided = [step.trace.fact.id for steps in batches for step in steps]
        assert decided == [fact.id for fact in [*identify, *counted(*names), *counted(*names)]]
        states = [{step.contact.id: step.contact for step in steps} for steps in batches]
        most = max(sum(map(len, map(encode, contacts.values()))) for contacts in states)
        assert COMMIT_BYTES / 2 < most < 1.2 * COMMIT_BYTES
        assert part.at == Checkpoint(f"{len(entries) + 2}-0", 0, 1)
        assert part.cache == {}, "what is large is loaded again"


async def test_what_models_are_to_learn_from_counts_as_well(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        names = [f"u{n}" for n in range(60)]
        part, plans = await partition(bed, counted(*names))
        noted = [Example(n, 2**50, {f"feature {i}": "x" * 64 for i in range(64)}) for n in range(64)]
        part.cache = {name: Contact(name, examples={"shop/buys#1": noted}) for name in names}
        batches = await through(part, plans)
        assert len(batches) > 1
        most = max(len(encode([step.contact for step in steps])) for steps in batches)
        assert COMMIT_BYTES / 4 < most < 1.2 * COMMIT_BYTES


async def test_a_message_counts_with_all_it_carries(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        asked = [Fact(f"f{n}", "asked", "a", 1, 1, {"n": 1, "s": "x" * 50_000}) for n in range(300)]
        part, plans = await partition(bed, *([fact] for fact in asked))
        batches = await through(part, plans)
        assert [step.trace.fact.id for steps in batches for step in steps] == [fact.id for fact in asked]
        assert max(len(encode([step.messages for step in steps])) for steps in batches) < 1.2 * COMMIT_BYTES


@pytest.mark.parametrize("read", [1, 3, 100])
async def test_batches_of_any_length_leave_no_fact_behind(store_url: str, tmp_path: Path, read: int) -> None:
    async with Bed(store_url, tmp_path) as bed:
        entries = [counted(*"abcdefg"[:n], size=n * 1000) for n in (1, 7, 2, 5, 7, 1)]
        part, plans = await partition(bed, *entries)
        part.limit = read
        decided: list[str] = []
        while facts := part.ahead(read):
            batch = await decide_batch(part, facts[: 1 + len(decided) % 3], plans)
            part.at = batch.after
            decided += [step.trace.fact.id for step in batch.steps]
        assert decided == [fact.id for facts in entries for fact in facts]
        assert part.at == Checkpoint("6-0", 0, 1)


def test_a_decision_shows_of_a_score_with_many_keys_those_that_changed() -> None:
    few: Score = {f"k{n}": 1 for n in range(KEYS_SHOWN)}
    many: Score = {f"k{n}": 1 for n in range(KEYS_SHOWN + 1)}
    contact = Contact("a", scores={"few": few, "many": many, "lead": 3})
    (fact,) = counted("a")
    shown = decision(Step(contact, Trace(1, fact, 1, 1), scores={"many:k7": -1, "lead": -3}), {})
    assert shown["scores"] == {"few": few, "many": {"k7": 1}, "lead": 3}


async def test_who_waits_is_told_what_held_at_the_facts_place(store_url: str, tmp_path: Path) -> None:
    """The points decay until the deploy that follows in the same batch."""
    document = """\
apiVersion: overture/v1
kind: Ruleset
name: fading
facts: {gained: {}, looked: {}}
scores: {lead: {decay: {half_life: 1h}}}
rules:
  gain: {when: fact.type == "gained", then: [{score: {name: lead, add: 8}}]}
"""
    async with Bed(store_url, tmp_path) as bed:
        for version, text in enumerate((document, document.replace("{decay: {half_life: 1h}}", "{}")), 1):
            ruleset = load(text)
            await bed.registry.put("fading", ruleset.revision, text, 0)
            await bed.registry.activate(version, Activation({"fading": ruleset.revision}), 0)
        hour = 3_600_000
        facts = [
            Fact("g", "gained", "a", hour, hour),
            Fact("l", "looked", "a", 2 * hour, 2 * hour, reply="me/1"),
            Fact("$activate:3", "$activate", "", 0, 0, {"version": 3}),
        ]
        part, plans = await partition(bed, facts)
        part.at = Checkpoint("0-0", 0, 2)
        part.plan = await plans.plan(2)
        batch = await decide_batch(part, part.ahead(part.limit), plans)
        assert batch.after == Checkpoint("1-0", 0, 3)
        assert [(token, told["scores"]) for token, told in batch.answers] == [("me/1", {"lead": 4})]
