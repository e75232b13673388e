"""The page of the inbox is the code's: settings, numbers, and an example that works."""

from __future__ import annotations

from dockit import blocks, code, page, part, table

from overture.node.inboxes import BEAT, OF_ONE, STREAMS
from overture.rules import load
from overture_channels.inbox import InboxConfig

PAGE = page("inbox.md")


def test_the_settings_are_the_codes() -> None:
    rows = table(PAGE, "setting")
    assert [code(row[0]) for row in rows] == list(InboxConfig.model_fields)
    for name, _, default in rows:
        assert default == f"`{InboxConfig.model_fields[code(name)].default}`"


def test_the_example_is_a_ruleset() -> None:
    (example,) = blocks(PAGE, "yaml")
    ruleset = load(f"apiVersion: overture/v1\nkind: Ruleset\nname: example\n{example}")
    assert "/orders/" in ruleset.templates["shipped"].data


def test_the_numbers_are_the_codes() -> None:
    reading = part(PAGE, "## Reading it")
    assert f"Every {BEAT:g} seconds" in reading
    assert f"Up to {OF_ONE} streams follow one inbox, up to {STREAMS:,} each process" in reading
