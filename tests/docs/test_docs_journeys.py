"""``docs/journeys.md`` is true: its examples pass the checker, its tables are the code's, its clocks go as it says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from dockit import CODE, blocks, code, page, part, table
from ruamel.yaml import YAML
from test_docs_rulesets import BASE, merged

from overture.decide.positions import ENDS
from overture.match.calendar import add_days, next_local
from overture.model.intervals import CONFIDENCE, FEW
from overture.rules import inspect, link
from overture.rules.keys import JOURNEY, ON_REDEPLOY, STEP, WAIT, WINNER
from overture.web.funnels import (
    Comparison,
    ContestState,
    Difference,
    Funnel,
    RevisionFunnel,
    StepFunnel,
    VariantFunnel,
    WayCount,
)

PAGE = page("journeys.md")
BLOCKS = blocks(PAGE, "yaml")
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("text", BLOCKS, ids=lambda text: " ".join(text.split()[:4]))
def test_every_example_passes_the_checker_and_links(text: str) -> None:
    if not text.startswith("apiVersion"):
        text = json.dumps(merged(BASE, YAML(typ="safe").load(text)))
    ruleset, findings = inspect(text)
    assert findings == []
    assert ruleset is not None
    assert link([ruleset], 1).rulesets.keys() == {ruleset.name}


def test_the_keys_are_the_codes() -> None:
    assert [code(row[0]) for row in table(part(PAGE, "## Entering and leaving"), "key")] == [
        "description", "enter_when", "key", "reentry", "restart_when", "goal", "exit_when", "on_redeploy", "steps",
    ]  # fmt: skip
    assert {code(row[0]) for row in table(part(PAGE, "## Entering and leaving"), "key")} == JOURNEY.keys.keys()
    steps = {name for row in table(part(PAGE, "## Steps"), "step") for name in CODE.findall(row[0])}
    assert steps == STEP.keys.keys() - {"id", "then", "winner"}
    assert {code(row[0]) for row in table(part(PAGE, "### The best way"), "key")} == WINNER.keys.keys()
    assert {code(row[0]) for row in table(part(PAGE, "### Waiting"), "key")} == WAIT.keys.keys()
    assert {code(row[0]) for row in table(part(PAGE, "## A new revision"), "value")} == set(ON_REDEPLOY)


def test_the_fields_of_a_funnel_are_the_codes() -> None:
    told = part(PAGE, "## What became of them")
    whole = {code(row[0]) for row in table(told, "field")}
    assert whole == set(Funnel.__struct_fields__) - {"journey", "revisions", "contests"}
    assert whole <= set(RevisionFunnel.__struct_fields__)
    steps = [code(row[0]) for row in table(told, "field of a step")]
    assert ["step", *steps] == list(StepFunnel.__struct_fields__)
    named = set(CODE.findall(told))
    others = set(RevisionFunnel.__struct_fields__) - whole - {"revision", "active"}
    assert others | {*Comparison.__struct_fields__} | {"way", "split", "passed", "low", "high"} <= named
    assert {"way", "split", "passed"} <= set(VariantFunnel.__struct_fields__)
    assert {"low", "high"} <= set(Difference.__struct_fields__)
    assert {"contests", *WayCount.__struct_fields__} | set(ContestState.__struct_fields__) <= named
    assert {"done", "exit", "stopped", "goal"} <= set(ENDS)
    assert f"with {CONFIDENCE * 100:g} % confidence" in told
    assert f"fewer than {FEW}" in told


def berlin(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


def test_clocks_go_as_the_page_says() -> None:
    night = part(PAGE, "## Clocks")
    assert "`02:30`" in night
    skipped = next_local(berlin("2026-03-29T00:30:00+01:00"), 150, (), BERLIN)
    assert skipped == berlin("2026-03-29T03:00:00+02:00")
    twice = next_local(berlin("2026-10-25T00:30:00+02:00"), 150, (), BERLIN)
    assert twice == berlin("2026-10-25T02:30:00+02:00")
    hours = {
        add_days(berlin(at), 1, BERLIN) - berlin(at) for at in ("2026-03-28T10:00+01:00", "2026-10-24T10:00+02:00")
    }
    assert hours == {23 * 3_600_000, 25 * 3_600_000}
