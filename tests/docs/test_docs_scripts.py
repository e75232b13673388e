"""``docs/scripts.md`` is true: its examples are checked, and run; keys, parts, reasons and numbers are the code's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dockit import CODE, ROOT, blocks, code, page, part, table
from ruamel.yaml import YAML

from overture.decide import Plan, limits
from overture.decide.asked import step_asking
from overture.model import Contact, Fact
from overture.model.pure import Pure
from overture.model.script import Call, Said
from overture.node.scripts import FACTS
from overture.rules import Ruleset, link, load
from overture.rules.keys import CHANGES, SCRIPT
from overture.rules.script import ROOTS
from overture.rules.scripts import LONGEST_MS, SCRIPTS, SOURCE_BYTES
from overture.sandbox.check import Checker
from overture.sandbox.lanes import Lanes
from overture.settings import Settings

PAGE = page("scripts.md")
TEXT = " ".join(PAGE.split())
EXAMPLE, DESK = blocks(PAGE, "yaml")


def ruleset(text: str) -> Ruleset:
    with Checker() as checker:
        return load(f"apiVersion: overture/v1\nkind: Ruleset\nname: support\n{text}", Pure(check=checker))


def test_the_first_example_does_what_it_says() -> None:
    plan = Plan(link([ruleset(EXAMPLE)], 1), "reference")
    properties: dict[str, Any] = {"total": 120, "items": ["book: Dune", "pen", "book: Emma"]}
    fact = Fact("f1", "order_completed", "ada", 1_800_000_000_000, 1_800_000_000_000, properties)
    with Lanes(1, 1000) as lanes:
        outcome = step_asking(Contact("ada"), fact, plan, 0, lanes.run_now)
    assert outcome.contact.traits == {"tier": "gold"}
    assert outcome.contact.scores == {"lead": 4, "worth": 13}
    (message,) = outcome.messages
    assert message.context["data"]["tier"] == "gold"
    assert "big_order" in {e.name for e in outcome.trace.all_effects if e.kind == "assert"}


def test_the_request_of_the_second_example_becomes_a_fact() -> None:
    script = ruleset(DESK).scripts["desk"].script
    given = '{"request": {"body": {"ticket": {"by": "ada", "text": "Broken"}}}}'
    with Lanes(1, 1000) as lanes:
        said: Sequence[Said] = lanes.run_now([Call(script, given, 0, "seed")])
    opened = {"type": "ticket_opened", "contact": {"user_id": "ada"}, "properties": {"text": "Broken"}}
    assert [each.value for each in said] == [[opened]]


def test_keys_parameters_and_parts_are_the_codes() -> None:
    writing = part(PAGE, "## Writing one")
    assert {code(row[0]) for row in table(writing, "key")} == set(SCRIPT.keys)
    assert tuple(code(row[0]) for row in table(writing, "parameter")) == ROOTS
    assert [code(row[0]) for row in table(PAGE, "part")] == list(CHANGES.keys)
    declared = YAML(typ="safe").load(re.search(r"`(changes: \{.*?\})`", part(PAGE, "## What it may answer"))[1])  # type: ignore[index]
    assert set(declared["changes"]) == set(CHANGES.keys)


def test_the_numbers_are_the_codes() -> None:
    assert f"at most {SCRIPTS} scripts, each of at most {SOURCE_BYTES >> 10} KiB. One fact asks at most" in TEXT
    assert f"One fact asks at most {limits.SCRIPT_CALLS}." in TEXT
    assert f"at most {limits.SCRIPT_CHANGES} changes" in TEXT
    assert f"at most `{LONGEST_MS}ms`" in TEXT
    assert f"`script_timeout_ms`, {Settings().script_timeout_ms}" in TEXT
    assert f"a list of at most {FACTS} facts" in TEXT


def test_every_reason_is_told() -> None:
    said = {name for row in table(PAGE, "reason") for name in CODE.findall(row[0])}
    sources = ("decide/scripts.py", "sandbox/answering.py", "model/script.py")
    text = "".join((ROOT / "engine" / "overture" / each).read_text("utf-8") for each in sources)
    known = set(re.findall(r'"(script\.[a-z_]+)"', text)) - {"script.syntax", "script.types", "script.py"}
    assert said == known
