"""What ``docs/sources.md`` says of the libraries of Segment and RudderStack is true: its example and its tables run."""

from __future__ import annotations

import asyncio
import json
import re
import time
import tomllib
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from dockit import CODE, PATIENCE, ROOT, Running, blocks, code, page, part, table

from overture.plugin import Incoming, Posted
from overture_sources import rudderstack, segment
from overture_sources.tracked import CALLS, SHORT

PART = part(page("sources.md"), "## Apps that track with Segment's or RudderStack's libraries")


def test_the_versions_are_those_of_the_tests():
    dev = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["dev"]
    node = json.loads((ROOT / "tests/peers/package.json").read_text())["dependencies"]
    pinned = {name: {version} for name, version in node.items()}
    for line in [*dev, *(ROOT / "tests/peers/segment-2.2.2.txt").read_text().split()]:
        name, _, version = line.partition("==")
        pinned.setdefault(name, set()).add(version)
    rows = {code(row[0]): set(row[1].split(", ")) for row in table(PART, "library")}
    assert rows == {name: pinned[name] for name in rows}
    assert len(rows) == 6


def test_the_example_runs(running: Running):
    (example,) = blocks(PART, "python")
    exec(example, {"URL": running.url, "WRITE": running.write})
    deadline = time.monotonic() + PATIENCE
    while "order_completed" not in (seen := timeline(running)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "identify" in seen


def timeline(running: Running) -> list[str]:
    """The types of the facts of whoever had the cookie, none while that is not decided."""
    address = f"{running.url}/v1/contacts/anonymous_id:cookie-7/timeline"
    try:
        with urlopen(Request(address, headers={"Authorization": f"Bearer {running.admin}"})) as answer:
            return [moment["fact"]["type"] for moment in json.load(answer)["items"]]
    except HTTPError:
        return []


def test_each_call_is_told():
    rows = {code(row[0]): row[1:] for row in table(PART, "call")}
    assert set(rows) == set(CALLS)
    for call, (fact, properties) in rows.items():
        said = {
            "userId": "ada",
            "event": "Order Completed",
            "groupId": "g",
            "previousId": "c",
            "name": "n",
            "category": "c",
        }
        request = Incoming(
            method="POST", endpoint=f"/v1/{call}", parts={}, query={}, headers={}, at=0, peer="",
            body=b"", inflated=json.dumps(said).encode(),
        )  # fmt: skip
        answer = asyncio.run(segment.Segment(segment.SegmentConfig()).parse(request))
        assert isinstance(answer, Posted)
        (made,) = answer.facts
        assert made["type"] in CODE.findall(fact)
        assert set(CODE.findall(properties)) == set(made["properties"])


def test_the_paths_are_there():
    (own,), (others,) = segment.overture_sources(), rudderstack.overture_sources()
    answered = {each.path for each in (*own.endpoints, *others.endpoints)}
    for path in re.findall(r"`(/(?!in/)\S+)`", PART.split("Both products")[1]):
        assert path in answered, path
    assert {f"/v1/{name}" for name in ("batch", *CALLS, *SHORT)} <= answered
    assert all(each.browser for each in (*own.endpoints, *others.endpoints))
