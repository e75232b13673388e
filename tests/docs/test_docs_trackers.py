"""What ``docs/sources.md`` says of PostHog's, Snowplow's and Matomo's libraries is true: its tables and its example."""

from __future__ import annotations

import json
import re
import time
import tomllib
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from dockit import CODE, PATIENCE, ROOT, Running, blocks, code, page, part, table

from overture_sources import matomo, posthog, posthog_events, snowplow

PAGE = page("sources.md")
POSTHOG = part(PAGE, "## Apps that track with PostHog's libraries")
SNOWPLOW = part(PAGE, "## Apps that track with Snowplow's trackers")
MATOMO = part(PAGE, "## Apps that track with Matomo's Tracking API")


def pinned() -> dict[str, str]:
    dev = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["dev"]
    node = json.loads((ROOT / "tests/peers/package.json").read_text())["dependencies"]
    return {**node, **dict(line.split("==") for line in dev if "==" in line)}


@pytest.mark.parametrize("text", [POSTHOG, SNOWPLOW], ids=["posthog", "snowplow"])
def test_the_versions_are_those_of_the_tests(text: str):
    rows = {code(row[0]): row[1] for row in table(text, "library")}
    assert rows == {name: pinned()[name] for name in rows}
    assert len(rows) == 3


def test_matomos_version_is_that_of_the_tests():
    assert f"`matomo-tracker` {pinned()['matomo-tracker']}" in MATOMO


@pytest.mark.parametrize(("text", "source"), [(POSTHOG, posthog), (SNOWPLOW, snowplow)], ids=["posthog", "snowplow"])
def test_the_paths_are_there(text: str, source: Any):
    (plugin,) = source.overture_sources()
    answered = {each.path for each in plugin.endpoints}
    found = [path for path in re.findall(r"`(/[a-z][\w./{}]*)`", text) if not path.startswith("/in/")]
    assert len(found) >= 2
    assert all(path in answered for path in found)
    assert all(each.browser for each in plugin.endpoints)


def test_posthogs_own_events_are_told():
    rows = {event: row[1] for row in table(POSTHOG, "event") for event in CODE.findall(row[0])}
    for event, type in posthog_events.TYPES.items():
        assert type in CODE.findall(rows[event]), event


def test_the_kinds_of_facts_are_told():
    told = set(CODE.findall(" ".join(row[1] for row in table(SNOWPLOW, "event"))))
    assert {kind for kind in snowplow.KINDS.values() if kind} <= told
    told = set(CODE.findall(" ".join(row[1] for row in table(MATOMO, "request"))))
    kinds = {kind for _, kind, _ in matomo.KINDS if kind}
    assert kinds | {"page_viewed", "cart_updated", "goal_reached"} == told - {"_"}


def test_the_example_runs(running: Running):
    (example,) = blocks(POSTHOG, "python")
    exec(example, {"URL": running.url, "WRITE": running.write})
    address = f"{running.url}/v1/contacts/mary"
    deadline = time.monotonic() + PATIENCE
    while True:
        assert time.monotonic() < deadline
        try:
            with urlopen(Request(address, headers={"Authorization": f"Bearer {running.admin}"})) as answer:
                if json.load(answer)["traits"].get("plan") == "pro":
                    break
        except HTTPError:
            pass
        time.sleep(0.05)
