"""Every decision of the past is explained as it was made: archived or not, whatever was merged or deployed since."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

from workerkit import DOCUMENT, PARTITIONS, Bed

from overture.decide import step
from overture.model import Contact
from overture.model.ids import partition_of
from overture.node.account import Lasting, of_lasting
from overture.node.explaining import GONE, ExplainService
from overture.records import Past, Recording
from overture.rules import load
from overture.state import keys
from overture.state.outbox import Outbox
from overture.state.registry import Activation
from overture.state.samples import RuleSamples
from overture.web.explained import ExplainQuery, Explanation
from overture.worker.plans import Plans

RULE = "count/many"


def document(most: int) -> str:
    """The bed's ruleset and a rule on the contact's sum, which every fact changes."""
    rule = f"""\
  many:
    when: (fact.type == "counted" or fact.type == "asked") and fact.n > 0 and contact.scores.sum < {most}
    once_per: fact.n
    then:
      - score: {{name: firings, add: 1}}
"""
    text = DOCUMENT.replace("  sum: {}", "  sum: {}\n  firings: {}")
    return text.replace("segments:", f"{rule}segments:", 1)


class Asking:
    """Asks the service as the API does."""

    def __init__(self, bed: Bed) -> None:
        plans = Plans(bed.registry, "reference")
        past = Past(bed.wire, bed.archive, PARTITIONS, plans.program)
        self._bed = bed
        self._service = ExplainService(
            bed.contacts, Outbox(bed.wire, PARTITIONS), plans, past, RuleSamples(bed.wire, PARTITIONS)
        )

    async def __call__(self, contact: str, **query: str) -> Explanation:
        state = await self._bed.contacts.get(await self._bed.identity.find(contact))
        assert state is not None
        return await self._service.explain(state, ExplainQuery(**query))


async def deploy(bed: Bed, text: str) -> None:
    revision = load(text).revision
    await bed.registry.put("count", revision, text, 0)
    await bed.registry.activate(await bed.registry.version(), Activation({"count": revision}), 0)


async def test_every_decision_is_explained_as_it_was_made(store_url: str, tmp_path: Path) -> None:
    dice = random.Random(20260327)
    people = [f"u{n}" for n in range(4)]
    visitors = [f"anonymous_id:a{n}" for n in range(4)]
    async with Bed(store_url, tmp_path) as bed:
        await bed.join()
        for turn in range(40):
            contacts = dice.choices(people + visitors, k=3)
            await bed.feed(
                *contacts, type=dice.choice(["counted", "asked"]), n=dice.choice([-1, 0, 1, 2, 2.5]), m="x" * 5000
            )
            if turn in (10, 20):
                await deploy(bed, document(dice.choice([1, 3, 6])))
            if turn in (12, 24, 30):
                await bed.link(visitors[turn % 4], people[turn % 3])
        await bed.drained()
        ask = Asking(bed)
        seen: set[str] = set()
        for contact in people:
            for moment in await bed.moments(contact):
                if moment.fact.type.startswith("$"):
                    continue
                why = await ask(contact, rule=RULE, fact=moment.fact.id)
                firing = next((f for f in moment.firings if f.rule == RULE), None)
                held = firing is not None and any(e.kind == "once_per" for e in firing.effects)
                assert why.state == "then"
                assert why.outcome == _expected(moment.program, firing is not None, held), moment
                if why.outcome == "no_match":
                    assert why.condition is not None
                    assert not why.condition.holds
                seen.add(why.outcome)
                segment = await ask(contact, segment="some", fact=moment.fact.id)
                assert segment.state == "then"
        assert seen == {"not_active", "no_match", "held_back", "fired"}
        plans = Plans(bed.registry, "reference")
        for contact in (*people, *visitors):
            recording = await Recording.open(bed.wire, bed.archive, partition_of(contact, PARTITIONS))
            state = Contact(contact)
            for r in recording.facts(contact):
                state = step(state, r.fact, await plans.plan(r.version), 0).contact
            assert state == await bed.contacts.get(contact), "decided again it comes out the same, to the last bit"


def _expected(program: int, fired: bool, held: bool) -> str:
    if program == 1:
        return "not_active"
    return "held_back" if held else "fired" if fired else "no_match"


async def test_what_is_archived_and_what_is_gone(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        await deploy(bed, document(3))
        await bed.join()
        for n in range(60):
            await bed.feed("ada", n=n % 3, pad="x" * 50_000)
        await bed.drained()
        p = partition_of("ada", PARTITIONS)
        for _ in range(200):
            if bed.store.xinfo_stream(keys.log(p))["length"] < 30:
                break
            await asyncio.sleep(0.05)
        ask = Asking(bed)
        early = bed.fed["ada"][5].id
        why = await ask("ada", rule=RULE, fact=early)
        assert (why.outcome, why.state, _values(why)["contact.scores.sum"]) == ("no_match", "then", 4)
        last = await ask("ada", rule=RULE)
        assert last.fact is not None
        assert (last.fact.id, last.state) == (bed.fed["ada"][-1].id, "then")

        for path in bed.archive.rglob("*.ovz"):
            path.unlink()
        why = await ask("ada", rule=RULE, fact=early)
        assert (why.outcome, why.state, why.note) == ("no_match", "now", GONE)
        assert _values(why)["contact.scores.sum"] == 60
        assert why.sentence == "It did not fire."


async def test_a_fact_that_was_set_aside(store_url: str, tmp_path: Path) -> None:
    async with Bed(store_url, tmp_path) as bed:
        await deploy(bed, document(3))
        await bed.feed("ada")
        member = await bed.join()
        await bed.drained()
        await bed.leave(member, "kill")
        await bed.feed("ada")
        for epoch in ("101", "102"):
            bed.begun("ada", epoch)
        await bed.join()
        await bed.drained()
        why = await Asking(bed)("ada", rule=RULE, fact=bed.fed["ada"][1].id)
        assert (why.outcome, why.condition) == ("set_aside", None)
        assert why.fact is not None
        assert why.fact.id == bed.fed["ada"][1].id


def test_a_contact_that_a_deploy_has_not_reached_yet() -> None:
    ruleset = load(document(3))
    what = Lasting.of(ruleset.segments["some"])
    for contact, outcome, said in (
        (Contact("ada", scores={"sum": 5}), "out", "holds, but the contact is not in it"),
        (Contact("ada", segments={"some": 1}), "in", "does not hold, but the contact is in it"),
    ):
        why = of_lasting(contact, what, None, None, ruleset.revision)
        assert why.outcome == outcome
        assert why.sentence == f"The condition {said} yet: the next fact brings it up to date."


def _values(why: Explanation) -> dict[str, Any]:
    assert why.condition is not None
    found: dict[str, Any] = {}
    nodes = [why.condition]
    while nodes:
        node = nodes.pop()
        found |= {o.text: o.value for o in node.operands}
        nodes += node.terms
    return found
