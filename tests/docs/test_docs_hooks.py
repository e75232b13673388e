"""The hooks of ``docs/plugins.md``: the packages of the page, run by one server, do what it says."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from dockit import PATIENCE, Running, blocks, page, part, serving

from overture.model.environ import without_settings
from overture.node.admission import PATIENCE as IDENTITIES
from overture.plugin import EnricherPlugin, HealthCheckPlugin, ObserverPlugin, hookspecs
from overture.plugin.checking import TIMEOUT
from overture.plugin.gating import GATING, LONGEST_HOLD
from overture.plugin.kinds import KINDS, PURE
from overture.plugin.redacting import REDACTING
from overture.plugin.resolving import RESOLVING

PAGE = page("plugins.md")
SECTIONS = {
    "enricher": "Enrichers", "redactor": "Redactors", "identity": "Identity", "delivery_gate": "Delivery gates",
    "observer": "Observers", "health_check": "Health checks", "command": "Commands",
}  # fmt: skip
RULES = """\
apiVersion: overture/v1
kind: Ruleset
name: gated
requires: {channels: [email]}
facts: {ordered: {}}
rules:
  ordered:
    when: fact.type == "ordered"
    then: [{send: {channel: email, template: thanks, purpose: marketing}}]
templates:
  thanks: {subject: Thanks, text: Thank you.}
"""


def section(kind: str) -> str:
    return part(PAGE, f"## {SECTIONS[kind]}")


class Country(BaseHTTPRequestHandler):
    """The service that the page's enricher asks."""

    def do_GET(self) -> None:
        body = json.dumps({"country": "NO" if self.path.endswith("ip=192.0.2.1") else "DE"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with all packages of the page's hooks, and their settings."""
    here = tmp_path_factory.mktemp("hooked")
    toml = ""
    with ThreadingHTTPServer(("127.0.0.1", 0), Country) as service:
        Thread(target=service.serve_forever, daemon=True).start()
        for kind in SECTIONS:
            (source,) = blocks(section(kind), "python")
            found = re.search(r"^`(overture_(\w+))\.py`", section(kind), re.MULTILINE)
            assert found
            module, name = found.groups()
            (here / f"{module}.py").write_text(source)
            info = here / f"{module}-1.0.0.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0.0\n")
            (info / "entry_points.txt").write_text(f"[overture]\n{name} = {module}\n")
            toml += "\n".join(blocks(section(kind), "toml"))
        (here / "overture.toml").write_text(toml.replace("127.0.0.1:9001", f"127.0.0.1:{service.server_port}"))
        with serving(here, "data") as running:
            yield running
        service.shutdown()


def call(running: Running, method: str, path: str, body: Any = None, key: str = "") -> Any:
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {key or running.admin}"}
    if isinstance(body, bytes):
        headers["Content-Type"] = "application/yaml"
    with urlopen(Request(running.url + path, data, headers, method=method)) as answer:
        return json.load(answer)


def eventually(check: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if answer := check():
                return answer
        except HTTPError as error:
            if error.code != 404:
                raise
        assert time.monotonic() < deadline
        time.sleep(0.05)


def deploy(running: Running, name: str, text: str) -> None:
    revision = call(running, "PUT", f"/v1/rulesets/{name}", text.encode())["revision"]
    call(running, "POST", f"/v1/rulesets/{name}/revisions/{revision}/activate")


def test_each_of_them_is_there(hooked: Running):
    told = call(hooked, "GET", "/v1/plugins")
    kinds = {offer["kind"]: offer["open"] for plugin in told for offer in plugin["offers"]}
    assert {kind for kind in SECTIONS if kind != "command" and set(kinds[kind].values()) == {"closed"}} == {
        *SECTIONS
    } - {"command"}
    assert not [plugin["error"] for plugin in told if plugin["error"]]
    assert call(hooked, "GET", "/readyz")["checks"] == {"disk": {"well": True, "required": False, "error": ""}}


def test_a_fact_on_its_way_in(hooked: Running):
    frame = "apiVersion: overture/v1\nkind: Ruleset\nname: nordic\n"
    deploy(hooked, "nordic", frame + blocks(section("enricher"), "yaml")[0])
    viewed = {
        "id": "v1",
        "type": "page_viewed",
        "contact": {"external": {"card": "4711"}},
        "context": {"ip": "192.0.2.1"},
    }
    assert call(hooked, "POST", "/v1/facts?wait=true", viewed, hooked.write)["accepted"] == 1
    grace = call(hooked, "GET", "/v1/contacts/grace")
    assert grace["scores"] == {"nordic": 1}
    items = call(hooked, "GET", "/v1/contacts/grace/timeline")["items"]
    contexts = [m["fact"]["context"] for m in items if m["fact"]["type"] == "page_viewed"]
    assert contexts == [{"places": {"country": "NO"}}]


def test_a_message_before_it_goes_and_what_is_told_of_it(hooked: Running):
    deploy(hooked, "gated", RULES)
    consent = {"channel": "email", "purpose": "marketing", "state": "granted"}
    for contact, address in (("ada", "ada@example.org"), ("nobody", "nobody@example.org")):
        facts = [
            {"type": "identify", "contact": contact, "properties": {"email": address}},
            {"type": "consent", "contact": contact, "properties": consent},
            {"type": "ordered", "contact": contact},
        ]
        call(hooked, "POST", "/v1/facts?wait=true", facts, hooked.write)
    (held,) = eventually(lambda: call(hooked, "GET", "/v1/messages?state=retrying")["items"])
    text = "Nothing but transactional messages goes at the moment."
    assert (held["contact"], held["reason"]) == ("ada", f"gate.held: The delivery gate office_hours says: {text}")
    (dropped,) = eventually(lambda: call(hooked, "GET", "/v1/messages?state=dropped")["items"])
    assert dropped["contact"] == "nobody"
    assert dropped["reason"].startswith("blocklist.named: ")
    tape = hooked.data.parent / "tape.txt"
    eventually(lambda: "nobody: email message dropped\n" in tape.read_text())
    assert "ada: ordered, by which 1 rules fired\n" in tape.read_text()


def test_the_command(hooked: Running):
    words = blocks(section("command"), "")[0].split()
    assert words[0] == ".venv/bin/overture"
    ran = subprocess.run(
        [sys.executable, "-m", "overture.cli", *words[1:]], cwd=hooked.data.parent, env=without_settings(),
        capture_output=True, text=True, timeout=PATIENCE, check=True,
    )  # fmt: skip
    assert ran.stdout == "Hello Ada!\n"


def test_numbers_are_the_codes():
    enricher, redactor, gate = section("enricher"), section("redactor"), section("delivery_gate")
    defaults = {field: EnricherPlugin.__dataclass_fields__[field].default for field in ("timeout", "ttl", "most")}
    assert f"for `ttl` seconds ({defaults['ttl']:g})" in enricher
    assert f"have `timeout` seconds ({defaults['timeout']:g})" in enricher
    assert f"at most `most` bytes of JSON ({defaults['most']:,})" in enricher
    remembered = EnricherPlugin.__dataclass_fields__["remembered"].default
    assert f"`remembered` keys ({remembered:,})" in enricher
    assert f"has {REDACTING.timeout * 1000:g} ms" in redactor
    assert f"longer than {RESOLVING.timeout:g} seconds ({IDENTITIES:g} for all of a request)" in section("identity")
    assert f"longer than {GATING.timeout:g} seconds" in gate
    assert f"within {LONGEST_HOLD // 86_400} days" in gate
    assert f"`queue` of them wait ({ObserverPlugin.__dataclass_fields__['queue'].default:,})" in section("observer")
    every = HealthCheckPlugin.__dataclass_fields__["every"].default
    check = section("health_check")
    assert f"at most every {every:g} seconds (`every`), with {TIMEOUT:g} seconds to answer" in check


def test_each_hook_has_an_example_in_its_specification_and_one_on_the_page():
    hooks = {of.hook for of in (*KINDS, *PURE)}
    specs = {name: spec for name, spec in vars(hookspecs).items() if name.startswith("overture_")}
    assert set(specs) == hooks
    for name, spec in specs.items():
        assert f"def {name}()" in PAGE, name
        _, marked, example = (inspect.getdoc(spec) or "").partition("::\n")
        if name != "overture_channels":  # the one at the head of the module
            assert marked, name
            tree = ast.parse(inspect.cleandoc(example))
            assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_settings_are_those_of_tables():
    for kind in SECTIONS:
        for block in blocks(section(kind), "toml"):
            (table,) = tomllib.loads(block)
            assert table in {of.table for of in KINDS if of.kind == kind}
