"""``docs/plugins.md`` is true: its packages are installed as pip would leave them, loaded and held to what it says."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module, invalidate_caches
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import pytest
from dockit import CODE, PATIENCE, Running, blocks, page, part, serving, table
from ruamel.yaml import YAML

from overture.model import Contact
from overture.plugin import HOOK_API, Answer, Incoming, Limits, Outgoing, PluginManager, Posted, Taken
from overture.plugin.listening import LISTENING
from overture.plugin.rerun import FIRST, LONGEST
from overture.plugin.threads import LEAVING, MOST, WAITING
from overture.rules import inspect
from overture.state.turns import HOLD_MS

PAGE = page("plugins.md")
CHANNEL, SOURCE = part(PAGE, "## Writing a channel"), part(PAGE, "## Writing a source")
FETCHING = part(PAGE, "## Writing a source that fetches")
SECRET = "shared with the booking tool"
MODULES = ("overture_sms", "test_overture_sms")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    project = tomllib.loads(blocks(CHANNEL, "toml")[0])["project"]
    for name, source in zip(MODULES, blocks(CHANNEL, "python"), strict=True):
        assert f"`{name}.py`" in CHANNEL
        (tmp_path / f"{name}.py").write_text(source)
    info = tmp_path / f"overture_sms-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [f"{name} = {module}" for name, module in project["entry-points"]["overture"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[overture]", *points]))
    monkeypatch.syspath_prepend(str(tmp_path))
    invalidate_caches()
    yield tmp_path
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("installed")
def test_the_package_holds_the_contract():
    import_module("test_overture_sms").test_the_contract()


@pytest.mark.usefixtures("installed")
async def test_the_package_is_loaded_and_opened(monkeypatch: pytest.MonkeyPatch):
    manager = PluginManager()
    manager.load()
    state = next(state for state in manager.states() if state.name == "sms")
    assert (state.distribution, state.version, state.state, state.error) == ("overture-sms", "1.0.0", "active", "")
    monkeypatch.setenv("SMS_TOKEN", "s3cret")
    settings = tomllib.loads(blocks(CHANNEL, "toml")[1])["channels"]
    mail = {"url": "smtp://127.0.0.1:1", "sender": "news@example.org"}
    assert manager.configure("channel", {**settings, "email": mail}) == []
    hosted = manager.open_channels()
    assert hosted["sms"].address_of(Contact("ada", traits={"phone": "+49"})) == "+49"
    assert hosted["sms"].address_of(Contact("ada")) is None
    for channel in hosted.values():
        await channel.close()


def test_its_ruleset_passes_the_checker():
    frame = {"apiVersion": "overture/v1", "kind": "Ruleset", "name": "sms"}
    facts = {"order_completed": {"order_id": "string"}}
    (fragment,) = blocks(CHANNEL, "yaml")
    ruleset, findings = inspect(json.dumps({**frame, "facts": facts, **YAML(typ="safe").load(fragment)}))
    assert findings == []
    assert ruleset is not None


def test_names_and_numbers_are_the_codes():
    text = part(PAGE, "### What `send` may do")
    assert {field.name for field in fields(Outgoing)} <= set(CODE.findall(text))
    said = {name for row in table(text, "it") for name in CODE.findall(row[0])}
    assert said == {"Sent", "Rejected", "RetryLater", "AmbiguousHandOff"}
    limits = Limits()
    assert f"longer than {limits.timeout:g} seconds" in text
    assert f"up to {limits.parallel} times at once" in text
    assert f"After {limits.failures} failures in a row the channel is left alone for {limits.pause:g} seconds" in text
    assert f"`OVERTURE_HOOK_API = {HOOK_API}`" in PAGE


@pytest.fixture(scope="module")
def bookings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with the source of the page, and its settings."""
    here = tmp_path_factory.mktemp("bookings")
    (source,) = blocks(SOURCE, "python")
    assert "`overture_bookings.py`" in SOURCE
    (here / "overture_bookings.py").write_text(source)
    points, settings = blocks(SOURCE, "toml")
    entry = tomllib.loads(points)["project"]["entry-points"]["overture"]
    info = here / "overture_bookings-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: overture-bookings\nVersion: 1.0.0\n")
    (info / "entry_points.txt").write_text(
        "\n".join(["[overture]", *(f"{n} = {module}" for n, module in entry.items())])
    )
    (here / "overture.toml").write_text(settings)
    (here / "other-house.secret").write_text(SECRET)
    with serving(here, "data", BOOKINGS_SECRET=SECRET) as running:
        yield running


class Rows(BaseHTTPRequestHandler):
    """The feed that the page's source follows: five rows, two on a page."""

    def do_GET(self) -> None:
        after = int(parse_qs(urlsplit(self.path).query).get("after", ["0"])[0] or 0)
        rows = [{"id": n, "user": "grace"} for n in range(after + 1, min(after + 3, 6))]
        body = json.dumps({"rows": rows, "last": str(rows[-1]["id"]) if rows else str(after)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def feed() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Rows) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/rows"
        server.shutdown()


def test_the_source_that_fetches_takes_each_row_once_and_goes_on_where_it_was(tmp_path: Path, feed: str):
    (source,) = blocks(FETCHING, "python")
    (tmp_path / "overture_feed.py").write_text(source)
    info = tmp_path / "overture_feed-1.0.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: overture-feed\nVersion: 1.0.0\n")
    (info / "entry_points.txt").write_text("[overture]\nfeed = overture_feed\n")
    (tmp_path / "overture.toml").write_text(f"[sources.feed]\nurl = '{feed}'\npause = 0.05\n")
    for _ in range(2):
        with serving(tmp_path, "data") as running:
            deadline = time.monotonic() + PATIENCE
            while True:
                status, told = asked(f"{running.url}/v1/contacts/grace/timeline", running.admin)
                if status == 200 and len(told["items"]) == 5:
                    break
                assert time.monotonic() < deadline, told
                time.sleep(0.05)
            assert [m["fact"]["id"] for m in told["items"]] == [f"feed:{n}" for n in (5, 4, 3, 2, 1)]


def test_what_the_page_says_of_fetching_is_the_codes():
    assert f"another goes on within {HOLD_MS // 1000} seconds" in FETCHING
    assert (FIRST, LONGEST) == (1, 60)
    assert "Taken.refused" in FETCHING
    assert "refused" in {field.name for field in fields(Taken)}


def test_what_the_page_says_of_threads_is_the_codes():
    told = " ".join(part(PAGE, "## Code that blocks").split())
    assert f"are the plugin's own: {MOST} for each thing" in told
    assert f"when {WAITING} wait, the next raises" in told
    assert f"threads that a plugin makes by itself get {LEAVING:g} seconds more" in told


def asked(url: str, key: str = "", body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    sent = {**({"Authorization": f"Bearer {key}"} if key else {}), **headers}
    try:
        with urlopen(Request(url, body, sent)) as answer:
            return answer.status, json.load(answer)
    except HTTPError as error:
        return error.code, json.load(error)


def test_the_source_takes_what_is_posted_to_it(bookings: Running):
    example = blocks(SOURCE, "")[0]
    found = re.search(r"BODY='(.*)'", example)
    assert found
    (event,) = json.loads(found[1])
    body = json.dumps([event, {"kind": "cancelled"}]).encode()
    signature = {"X-Signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}
    assert "$URL/in/bookings/hook" in example
    for path in ("/in/bookings/hook", "/in/bookings/hook", "/in/bookings_of_the_other_house/hook"):
        assert asked(bookings.url + path, body=body, **signature) == (200, {})
    assert asked(f"{bookings.url}/in/bookings/hook", body=b"[]", **signature)[1]["code"] == "bookings.signature"
    _, refused = asked(f"{bookings.url}/v1/sources/refused", bookings.admin)
    assert {each["code"] for each in refused} == {"bookings.kind"}
    deadline = time.monotonic() + PATIENCE
    timeline = f"{bookings.url}/v1/contacts/email:{event['guest']}/timeline"
    while (told := asked(timeline, bookings.admin))[0] == 404:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [(m["fact"]["id"], m["fact"]["type"]) for m in told[1]["items"]] == [("bookings:1", "appointment_booked")]


def test_what_the_page_says_of_sources_is_the_codes():
    text = part(SOURCE, "### What `parse` may do")
    assert {field.name for field in fields(Incoming)} <= set(CODE.findall(text))
    said = {name for row in table(text, "it") for name in CODE.findall(row[0])}
    assert said == {"Posted", "Transform", "Answer", "Refuse"}
    assert f"longer than {LISTENING.timeout:g} seconds" in text
    assert f"up to {LISTENING.parallel} times at" in text
    assert (
        f"After {LISTENING.failures} failures in a row the source is left alone for {LISTENING.pause:g} second" in text
    )
    assert Answer() == Posted(facts=[]).answer
    assert (Answer().status, Answer().body) == (200, {})
