"""Tests on their way to the server: what carries failing tests does not become active, and nothing stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from overture.deploy.rulesets import Rulesets
from overture.deploy.scratch import WAITING, Scratch
from overture.model import Overloaded, Refused
from overture.rules import RulesetInvalid
from overture.state.registry import Registry
from overture.state.wire import Wire
from overture.trial.job import Prove
from overture.trial.results import TrialsFailed

POINTS = """\
apiVersion: overture/v1
kind: Ruleset
name: points
facts: {clicked: {n: int}}
scores: {lead: {}}
rules:
  clicked: {when: fact.type == "clicked", then: [{score: {name: lead, add: = fact.n}}]}
"""
HOT = """\
apiVersion: overture/v1
kind: Ruleset
name: hot
requires: {scores: [lead]}
segments:
  hot: {when: contact.scores.lead >= 10}
"""
TESTS = """\
tests:
  - name: ten is hot
    steps:
      - fact: {type: clicked, n: 10}
      - expect: {segments: {hot: true}}
"""
FAILING = TESTS.replace("n: 10", "n: 9")


@pytest.fixture
async def rulesets(store_url: str) -> AsyncIterator[Rulesets]:
    wire = await Wire.connect(store_url)
    try:
        deployed = Rulesets(Registry(wire, 4))
        await deployed.activate("points", (await deployed.put("points", POINTS)).revision)
        yield deployed
    finally:
        await wire.close()


async def test_a_revision_is_the_rules_and_their_tests(rulesets: Rulesets) -> None:
    plain, tested, same = [await rulesets.put("hot", text) for text in (HOT, HOT + TESTS, HOT + TESTS)]
    assert plain.revision != tested.revision
    assert (tested.new, same.new, same.revision) == (True, False, tested.revision)
    assert await rulesets.activate("hot", tested.revision) == 2
    assert (await rulesets.active())[1]["hot"] == tested.revision


async def test_a_revision_whose_tests_fail_does_not_become_active(rulesets: Rulesets) -> None:
    good = await rulesets.put("hot", HOT + TESTS)
    bad = await rulesets.put("hot", HOT + FAILING)
    await rulesets.activate("hot", good.revision)
    before = await rulesets.active()
    with pytest.raises(TrialsFailed) as caught:
        await rulesets.activate("hot", bad.revision)
    assert await rulesets.active() == before
    assert (caught.value.code, caught.value.status) == ("ruleset.tests_failed", 422)
    assert "'ten is hot'" in caught.value.message
    (finding,) = caught.value.diagnostics
    line = (HOT + FAILING).splitlines().index("      - expect: {segments: {hot: true}}") + 1
    assert (finding.code, finding.line, finding.pointer) == ("test.failed", line, "hot")
    assert finding.message == "ten is hot: segments.hot: expected true, found false"


async def test_the_tests_run_with_what_would_be_active(rulesets: Rulesets) -> None:
    hot = await rulesets.put("hot", HOT + TESTS)
    await rulesets.activate("hot", hot.revision)
    assert (await rulesets.test("hot", TESTS)).passed
    half = await rulesets.put("points", POINTS.replace("= fact.n", "= fact.n / 2"))
    await rulesets.activate("points", half.revision)  # it has no tests of its own
    assert not (await rulesets.test("hot", TESTS)).passed
    with pytest.raises(TrialsFailed):  # what passed then does not pass now
        await rulesets.activate_all({"hot": (await rulesets.put("hot", HOT + TESTS + "# again\n")).revision})
    whole = await rulesets.put("points", POINTS)
    await rulesets.activate("points", whole.revision)
    assert (await rulesets.test("hot", TESTS)).passed


async def test_roll_back_runs_the_tests_too(rulesets: Rulesets) -> None:
    for text in (HOT + TESTS, HOT.replace("10", "20")):
        await rulesets.activate("hot", (await rulesets.put("hot", text)).revision)
    await rulesets.activate("points", (await rulesets.put("points", POINTS.replace("= fact.n", "1"))).revision)
    with pytest.raises(TrialsFailed):
        await rulesets.rollback("hot")


async def test_what_a_body_may_be(rulesets: Rulesets) -> None:
    with pytest.raises(Refused) as none:
        await rulesets.test("hot", TESTS)
    assert (none.value.code, none.value.status) == ("ruleset.unknown", 404)
    candidate = await rulesets.test("hot", HOT + FAILING)
    assert (candidate.ruleset, candidate.passed, len(candidate.tests)) == ("hot", False, 1)
    kept = await rulesets.put("hot", HOT + FAILING)  # its own tests are not the ones that are asked for
    assert (await rulesets.test("hot", TESTS, kept.revision)).passed
    assert (await rulesets.active())[1].keys() == {"points"}
    with pytest.raises(Refused) as other:
        await rulesets.test("warm", HOT + TESTS)
    assert other.value.code == "ruleset.name_differs"
    for bad in (TESTS.replace("hot:", "hto:"), HOT + TESTS.replace("type", "tpye"), "{"):
        with pytest.raises(RulesetInvalid):
            await rulesets.test("hot", bad, kept.revision)


async def test_a_document_with_unreadable_tests_is_not_kept(rulesets: Rulesets) -> None:
    with pytest.raises(RulesetInvalid) as caught:
        await rulesets.put("hot", HOT + TESTS.replace("expect", "exepct"))
    assert [d.code for d in caught.value.diagnostics] == ["ruleset.unknown_key"]
    assert (await rulesets.check(HOT + TESTS.replace("steps", "stesp")))[0] is None


# --- the scratch process ------------------------------------------------------------------------------------------


def costly(rules: int, facts: int) -> str:
    """A ruleset that may be deployed, with tests that take a long while."""
    names = [f"t{n}" for n in range(rules)]
    lines = [
        "apiVersion: overture/v1", "kind: Ruleset", "name: costly", "scores: {n: {}}",
        f"facts: {{a: {{}}, {', '.join(f'{name}: {{}}' for name in names)}}}", "rules:",
        *(f"  {n}: {{when: fact.type == 'a', then: [{{assert: {{type: {n}}}}}]}}" for n in names),
        "tests:", "  - name: t", "    steps:", *(["      - fact: {type: a}"] * facts), "      - expect: {error: null}",
    ]  # fmt: skip
    return "\n".join(lines)


async def test_tests_that_take_too_long_are_stopped() -> None:
    job = Prove({"costly": costly(200, 5000)}, ["costly"])
    with pytest.raises(Refused) as caught:
        await Scratch(computing=1).run(job)
    assert (caught.value.code, caught.value.status) == ("ruleset.too_costly", 422)


async def test_a_machine_that_has_no_time_for_tests_is_not_the_rulesets_fault() -> None:
    job = Prove({"costly": costly(200, 5000)}, ["costly"])
    with pytest.raises(Overloaded) as caught:
        await Scratch(seconds=0.2).run(job)
    assert (caught.value.code, caught.value.status) == ("test.busy", 429)


async def test_the_loop_goes_on_while_tests_run() -> None:
    turns = 0
    job = asyncio.create_task(Scratch().run(Prove({"costly": costly(50, 50)}, ["costly"])))
    while not job.done():
        turns += 1
        await asyncio.sleep(0)
    (result,) = (await job).results
    assert result.passed
    assert turns > 1000


async def test_only_so_many_stand_in_line() -> None:
    scratch = Scratch(seconds=0.2)
    jobs = [asyncio.create_task(scratch.run(Prove({}, []))) for _ in range(WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as caught:
        await scratch.run(Prove({}, []))
    assert (caught.value.code, caught.value.status) == ("test.busy", 429)
    for job in jobs:
        job.cancel()
    await asyncio.wait(jobs)
    assert (await Scratch().run(Prove({"points": POINTS}, ["points"]))).results == []  # no tests in it


async def test_a_split_that_finds_its_winner_meanwhile_does_not_cost_a_deploy(rulesets: Rulesets) -> None:
    registry, hot = rulesets.registry, (await rulesets.put("hot", HOT)).revision
    deploy = asyncio.create_task(rulesets.activate("hot", hot))
    await asyncio.sleep(0)
    won = {"a/b.c": ("edition", "way")}
    before = await registry.activation(1)
    assert await registry.activate(1, replace(before, winners=won), 0) == 2
    assert await deploy == 3
    after = await registry.activation(3)
    assert (after.rulesets["hot"], after.winners) == (hot, won)


async def test_what_another_deploy_changes_meanwhile_does(rulesets: Rulesets) -> None:
    registry, hot = rulesets.registry, (await rulesets.put("hot", HOT)).revision
    deploy = asyncio.create_task(rulesets.activate("hot", hot))
    await asyncio.sleep(0)
    await registry.activate(1, replace(await registry.activation(1), older=[("points", "0" * 16)]), 0)
    with pytest.raises(Refused, match="Another activation came first"):
        await deploy
