"""``docs/http.md`` is true: every route is there, and every example runs on a real server."""

from __future__ import annotations

import json
import re
import shlex
import time
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import redis
from dockit import CODE, PATIENCE, ROOT, Running, blocks, code, page, part, table

from overture.delivery.links import CLICKED, OPENED, PATH, Claim, Links, Trail
from overture.intake import CODES, Caps, parse
from overture.intake.cloudevents import IS_EVENT, attributes
from overture.node.facts import PATIENCE as WAIT
from overture.state import keys
from overture.state.contacts import TIMELINE
from overture.state.log import DEDUPE_MS
from overture.state.outbox import STATES
from overture.web import ROUTES
from overture.web.routing import PUBLIC, Route
from overture.web.shapes import FactBody
from overture.worker.decisions import KEYS_SHOWN

PAGE = page("http.md")
NOW = 1_774_605_600_000
COMMANDS = [c for block in blocks(PAGE, "") for c in re.split(r"\n(?=curl )", block.strip())]


def heading(route: Route) -> str:
    return f"### `{route.method} {route.path}`"


def call(command: str) -> tuple[str, str, dict[str, str], bytes | None]:
    """Method, address, headers and body of one curl command."""
    words = shlex.split(command.replace("\\\n", " "))
    method, url, headers, body = "", "", {}, None
    rest = iter(words[1:])
    for word in rest:
        if word == "-X":
            method = next(rest)
        elif word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif word in ("-d", "--data-binary"):
            text = next(rest)
            body = (ROOT / text[1:]).read_bytes() if text.startswith("@") else text.encode()
        elif word != "-s":
            assert not url, word
            url = word
    return method or ("GET" if body is None else "POST"), url, headers, body


def route_of(method: str, address: str) -> Route:
    path = urlsplit(address.removeprefix("$URL")).path
    fits = [r for r in ROUTES if r.method == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", r.path), path)]
    assert len(fits) == 1, (method, path)
    return fits[0]


def test_every_route_is_there_once_and_no_other():
    told = re.findall(r"^### `([A-Z]+ /\S*)`$", PAGE, re.MULTILINE)
    assert sorted(told) == sorted(f"{r.method} {r.path}" for r in ROUTES)


@pytest.mark.parametrize("route", ROUTES, ids=lambda r: f"{r.method} {r.path}")
def test_a_route_has_its_scope_its_query_and_an_example(route: Route):
    text = part(PAGE, heading(route))
    if route.scope is PUBLIC:
        assert "Scope" not in text
    else:
        assert text.strip().startswith(f"Scope `{route.scope}`.")
    if route.query is not None:
        assert all(re.search(rf"`\??{name}\b", text) for name in route.query.__struct_encode_fields__)
    assert all(f"`{name}`" in text for name in route.headers)
    examples = [c for block in blocks(text, "") for c in re.split(r"\n(?=curl )", block.strip())]
    assert any(route_of(*call(c)[:2]) is route for c in examples)


def test_states_of_messages_are_the_codes():
    assert set(STATES) <= set(CODE.findall(part(PAGE, "### `GET /v1/messages`")))


def test_the_facts_of_the_examples_are_good():
    posted = 0
    for command in COMMANDS:
        method, address, headers, body = call(command)
        if route_of(method, address).path in ("/v1/facts", "/v1/decide"):
            assert body is not None
            event = attributes(headers) if IS_EVENT in headers else None
            parsed = parse(body, NOW, Caps(), "", headers.get("Content-Type", ""), event)
            assert parsed.rejected == []
            posted += len(parsed.drafts)
    assert posted == 10


def test_the_problem_shown_is_one_of_ours():
    (shown, _) = blocks(PAGE, "json")
    problem = json.loads(shown)
    entry = CODES[problem["code"]]
    assert (problem["detail"], problem["hint"], problem["status"]) == (entry.sentence, entry.hint, entry.status)


def test_the_caps_are_the_codes():
    caps = Caps()
    rows = [row[1] for row in table(part(PAGE, "### Caps"), "what")]
    assert rows == [
        f"{caps.body >> 20} MiB",
        f"{caps.facts:,}",
        f"{caps.fact >> 10} KiB",
        f"{caps.depth}",
        f"{caps.keys}",
    ]
    assert f"remembered for {DEDUPE_MS // 86_400_000} days" in PAGE
    assert f"{WAIT:g} seconds" in part(PAGE, heading(ROUTES[0]))
    assert f"The last {TIMELINE} facts" in PAGE


def test_how_many_keys_a_decision_shows():
    assert f"of a score with more than {KEYS_SHOWN} keys, those that the fact changed" in PAGE


def test_the_keys_of_a_fact_are_the_codes():
    rows = table(part(PAGE, heading(ROUTES[0])), "key")
    assert {code(row[0]) for row in rows} == set(FactBody.__struct_fields__)
    assert {code(row[0]) for row in rows if row[1].startswith("required")} == {"type", "contact"}


def request(command: str, names: dict[str, str]) -> tuple[int, Any]:
    method, address, headers, body = call(command)
    for name, value in names.items():
        address = address.replace(f"${name}", value)
        headers = {k: v.replace(f"${name}", value) for k, v in headers.items()}
    parts = urlsplit(address)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE)
    try:
        connection.request(method, parts.path + (f"?{parts.query}" if parts.query else ""), body, headers)
        answer = connection.getresponse()
        followed = answer.headers.get_content_type() == "text/event-stream"  # it has no end
        raw = answer.readline() if followed else answer.read()
    finally:
        connection.close()
    told = answer.headers.get_content_subtype().endswith("json")
    return answer.status, json.loads(raw) if told else raw.decode(errors="replace")


def soon(command: str, names: dict[str, str]) -> tuple[int, Any]:
    """The answer; what was just accepted is decided, and its message dropped, a moment later."""
    deadline = time.monotonic() + PATIENCE
    while True:
        status, answer = request(command, names)
        early = status == 404 and "/inbox/" not in command and "/v1/models/" not in command
        early |= "state=dropped" in command and answer.get("items") == []
        early |= status == 409 and answer["code"] == "backtest.not_done"
        early |= "email:linus" in command and "external" not in answer.get("ids", {})
        if not early or time.monotonic() > deadline:
            return status, answer
        time.sleep(0.05)


def signed(running: Running) -> dict[str, str]:
    """What a mail to grace would carry, signed with the server's own key."""
    with redis.Redis.from_url(json.loads((running.data / "store.json").read_text())["url"]) as store:
        stored: dict[bytes, bytes] = store.hgetall(keys.LINK_KEYS)  # type: ignore[assignment]

    class Signing:
        def newest(self) -> tuple[int, bytes]:
            return max((int(number), key) for number, key in stored.items())

        def get(self, number: int) -> bytes | None:
            return stored.get(str(number).encode())

    links = Links(Signing(), "")
    opened, clicked = (Trail("grace", "m1", "email", url, NOW) for url in ("", "https://shop.example/"))
    claim = Claim("unsubscribe", "grace", "email", "marketing", "m1", NOW, b"")
    return {
        "LINK": links.url(claim).removeprefix(PATH),
        "OPENED": links.opened(opened).removeprefix(OPENED).removesuffix(".gif"),
        "CLICKED": links.clicked(clicked).removeprefix(CLICKED),
    }


def test_the_examples_run_in_their_order(running: Running):
    names = {"URL": running.url, "WRITE": running.write, "ADMIN": running.admin, **signed(running)}
    answers: dict[str, Any] = {}
    for command in COMMANDS:
        status, answer = soon(command, names)
        if "/v1/models/" in command:  # no ruleset that ships has one
            assert (status, answer["code"]) == (404, "model.unknown")
            continue
        if command.startswith("curl -s -X PUT"):
            names["REVISION"] = answer["revision"]
        if "/backtest?" in command:
            names["BACKTEST"] = answer["id"]
        if "/inbox/token" in command:
            names["TOKEN"] = answer["token"]
        if "-X DELETE $URL/v1/contacts/" in command:
            names["ERASURE"] = answer["id"]
        if "state=dropped" in command:
            names["MESSAGE"] = quote(answer["items"][0]["id"], safe="")
        if "/approve" in command or "/reject" in command:  # nothing here waits for it
            assert (status, answer["code"]) == (409, "message.not_held")
            continue
        if "/inbox/$MESSAGE" in command:  # nothing is in this inbox
            assert (status, answer["code"]) == (404, "message.unknown")
            continue
        if "/v1/clock" in command:  # this server is not one for trying things out
            assert (status, answer["code"]) == (409, "clock.fixed")
            continue
        assert status in (200, 201, 202, 204, 302), (command, status, answer)
        answers[command] = answer
    first, waited, history, decided = (answers[c] for c in COMMANDS[:4])
    assert first == json.loads(blocks(PAGE, "json")[1])
    assert {"firings", "scores", "segments"} <= set(waited["decisions"][0])
    assert history["accepted"] == 2
    assert set(decided) == {"id", "status", "contact", "decision"}
    known = next(a for c, a in answers.items() if "email:linus" in c)
    assert (known["id"], known["ids"]["external"]) == ("linus", {"crm": "0031"})
    tested = next(a for c, a in answers.items() if "/test" in c)
    assert tested["passed"]
    back = next(a for c, a in answers.items() if "/rollback" in c)
    assert back["revision"] != names["REVISION"]  # the one of the first start, which has its tests with it
    ranking = next(a for c, a in answers.items() if "/top" in c)
    assert ranking["items"] == [{"contact": "grace", "score": 20}]
