"""Inboxes: read by another library's client of server-sent events, each message once, whatever is killed."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from httpx_sse import connect_sse
from serverkit import WRITE, Answer, Server, eventually, fact, fresh

DOCUMENT = """
apiVersion: overture/v1
kind: Ruleset
name: inbox
requires: {channels: [inbox]}
facts: {told: {n: number, html: "string?"}}
scores: {opened: {}}
templates:
  note:
    subject: Note {{ fact.n }}
    text: The {{ fact.n }}th
    html: <b>{{ fact.html | default("") }}</b>
    data: |
      {"n": {{ fact.n }}, "url": {{ "/n/" + fact.n|urlencode }}}
rules:
  note:
    when: fact.type == "told"
    then: [{send: {channel: inbox, template: note, purpose: transactional}}]
  opened:
    when: fact.type == "message.opened" and fact.channel == "inbox"
    then: [{score: {name: opened, add: 1}}]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("inbox")
    directory.joinpath("overture.toml").write_text("[channels.inbox]\nmost = 5\n")
    with Server(directory, RULESETS="") as running:
        running.deploy("inbox", DOCUMENT)
        yield running


def token(server: Server, contact: str, **more: Any) -> str:
    answer = server.call("POST", "/v1/inbox/token", {"contact": contact, **more})
    assert answer.status == 200, answer.body
    return answer.json["token"]


def inbox(server: Server, key: str, query: str = "") -> Any:
    answer = server.call("GET", f"/v1/inbox?limit=50{query}", key=key)
    assert answer.status == 200, answer.body
    return answer.json


def told(server: Server, contact: str, *numbers: int) -> None:
    server.facts(*(fact("told", contact, n=n) for n in numbers))


def numbers(page: Any) -> list[int]:
    return [item["data"]["n"] for item in page["items"]]


class Follower(threading.Thread):
    """Follows an inbox as a browser does: comes back after a break, says how far it is, and gives up at an error."""

    def __init__(self, server: Server, token: str) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.token = token
        self.events: list[Any] = []
        self.opened = 0
        self.refused = 0
        self._last = ""
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            headers = {"Last-Event-ID": self._last} if self._last else {}
            try:
                with (
                    httpx.Client(timeout=httpx.Timeout(60, connect=5)) as client,
                    connect_sse(
                        client, "GET", f"{self.server.url}/v1/inbox/stream?token={self.token}", headers=headers
                    ) as source,
                ):
                    if source.response.status_code != 200:
                        self.refused = source.response.status_code
                        return
                    self.opened += 1
                    for event in source.iter_sse():
                        self._last = event.id
                        self.events.append(event.json())
                        if self._over.is_set():
                            return
            except httpx.HTTPError:
                pass
            self._over.wait(0.05)

    def numbers(self) -> list[int]:
        return [event["data"]["n"] for event in self.events]

    def stop(self) -> None:
        self._over.set()


def test_what_a_contact_reads(server: Server) -> None:
    ada, eve = fresh("ada"), fresh("eve")
    server.facts(fact("told", ada, n=1, html="<script>"))
    told(server, eve, 9)
    server.settled()
    key = token(server, ada)
    page = inbox(server, key)
    (item,) = page["items"]
    assert (item["title"], item["text"], item["html"]) == ("Note 1", "The 1th", "<b>&lt;script&gt;</b>")
    assert (item["data"], item["purpose"], item["read_at"]) == ({"n": 1, "url": "/n/1"}, "transactional", None)
    assert (page["unread"], page["cursor"], page["next"]) == (1, item["place"], None)
    (message,) = server.messages(ada)
    assert (message["id"], message["state"]) == (item["id"], "sent")
    assert numbers(inbox(server, token(server, eve))) == [9]


def test_who_may_read(server: Server) -> None:
    ada, eve = fresh("ada"), fresh("eve")
    told(server, ada, 1)
    told(server, eve, 2)
    server.settled()
    (mine,) = inbox(server, token(server, ada))["items"]
    key = server.call("POST", "/v1/keys", {"name": fresh("backend"), "kind": "inbox"}).json["key"]
    answer = server.call("POST", "/v1/inbox/token", {"contact": eve}, key=key)
    assert (answer.status, answer.json["contact"]) == (200, eve)
    assert server.call("GET", f"/v1/contacts/{eve}", key=key).status == 403
    assert server.call("POST", "/v1/inbox/token", {"contact": eve}, key=WRITE).status == 403
    assert server.call("POST", "/v1/inbox/token", {"contact": "nobody"}).status == 404
    for wrong in ({}, {"contact": ""}, {"contact": eve, "seconds": 0}, {"contact": eve, "x": 1}, []):
        assert server.call("POST", "/v1/inbox/token", wrong).json["code"] == "inbox.malformed"
    hers = answer.json["token"]
    assert read(server, hers, mine["id"]).status == 404
    for bad in ("", "x", hers[:-2], hers + "A", server.call("GET", "/healthz").headers["Date"]):
        for path in ("/v1/inbox", "/v1/inbox/stream"):
            refused = server.call("GET", f"{path}?token={quote(bad)}", headers={"Authorization": ""})
            assert (refused.status, refused.json["code"]) == (401, "inbox.token")
    short = token(server, ada, seconds=1)
    eventually(lambda: server.call("GET", "/v1/inbox", key=short).status == 401, "the token is over")


def read(server: Server, key: str, message: str) -> Answer:
    return server.call("POST", f"/v1/inbox/{quote(message, safe='')}/read", key=key)


def test_what_is_read_is_opened_once(server: Server) -> None:
    ada = fresh("ada")
    told(server, ada, 1, 2)
    server.settled()
    key = token(server, ada)
    first = inbox(server, key)["items"][-1]
    for _ in range(3):
        assert read(server, key, first["id"]).status == 200
    page = inbox(server, key)
    assert [bool(item["read_at"]) for item in page["items"]] == [False, True]
    assert page["unread"] == 1
    assert server.contact(ada)["scores"]["opened"] == 1
    (opened,) = (m["fact"] for m in server.timeline(ada) if m["fact"]["type"] == "message.opened")
    assert (opened["properties"]["message"], opened["properties"]["template"]) == (first["id"], "note")
    assert read(server, key, "nothing").json["code"] == "message.unknown"


def test_the_oldest_make_room_and_pages_follow(server: Server) -> None:
    ada = fresh("ada")
    told(server, ada, *range(8))
    server.settled()
    key = token(server, ada)
    for item in inbox(server, key)["items"]:
        read(server, key, item["id"])
    told(server, ada, 8)
    server.settled()
    page = inbox(server, key)
    assert (numbers(page), page["unread"]) == ([8, 7, 6, 5, 4], 1)
    first = server.call("GET", "/v1/inbox?limit=2", key=key).json
    rest = inbox(server, key, f"&cursor={first['next']}")
    assert numbers(first) + numbers(rest) == [8, 7, 6, 5, 4]


def test_a_page_of_another_origin_reads(server: Server) -> None:
    ada = fresh("ada")
    told(server, ada, 1)
    server.settled()
    key, origin = token(server, ada), {"Origin": "https://shop.example.com"}
    asked = server.call("OPTIONS", "/v1/inbox", headers=origin)
    assert (asked.status, asked.headers["Access-Control-Allow-Methods"]) == (204, "GET, POST")
    listed = server.call("GET", f"/v1/inbox?token={key}", headers={**origin, "Authorization": ""})
    assert listed.headers["Access-Control-Allow-Origin"] == origin["Origin"]
    with (
        httpx.Client() as client,
        connect_sse(client, "GET", f"{server.url}/v1/inbox/stream?token={key}", headers=origin) as source,
    ):
        assert source.response.headers["Access-Control-Allow-Origin"] == origin["Origin"]
        assert next(source.iter_sse()).json()["data"]["n"] == 1
    assert server.call("HEAD", "/v1/inbox/stream", key=key).status == 200
    wrong = server.call("GET", "/v1/inbox/stream", key=key, headers={"Last-Event-ID": "x"})
    assert (wrong.status, wrong.json["code"]) == (400, "request.query")
    page = inbox(server, key)
    told(server, ada, 2)
    with (
        httpx.Client() as client,
        connect_sse(client, "GET", f"{server.url}/v1/inbox/stream?token={key}&after={page['cursor']}") as source,
    ):
        assert next(source.iter_sse()).json()["data"]["n"] == 2


def test_a_stream_ends_with_its_token_and_only_so_many_follow(server: Server) -> None:
    ada = fresh("ada")
    told(server, ada, 1)
    server.settled()
    brief = Follower(server, token(server, ada, seconds=2))
    brief.start()
    eventually(lambda: brief.numbers() == [1], "the first comes")
    many = [Follower(server, token(server, ada)) for _ in range(11)]
    for each in many:
        each.start()
    eventually(lambda: sum(each.refused == 429 for each in many) >= 1, "one more than ten is refused")
    eventually(lambda: brief.refused == 401, "the token is over")
    assert brief.numbers() == [1]
    for each in many:
        each.stop()
    told(server, ada, 2)
    for each in many:
        each.join(20)
        assert not each.is_alive()


def test_erased_is_erased_here_too(server: Server) -> None:
    ada = fresh("ada")
    told(server, ada, 1)
    server.settled()
    key = token(server, ada)
    exported = server.call("GET", f"/v1/contacts/{ada}/export").json
    assert [item["data"]["n"] for item in exported["inbox"]] == [1]
    asked = server.call("DELETE", f"/v1/contacts/{ada}")
    assert asked.status == 202
    eventually(lambda: server.get(f"/v1/erasures/{asked.json['id']}")["state"] == "done", "it is erased")
    assert server.call("GET", "/v1/inbox", key=key).status == 401
    told(server, ada, 2)
    server.settled()
    assert numbers(inbox(server, token(server, ada))) == [2]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_nothing_is_lost_and_nothing_comes_twice_when_the_server_is_killed(tmp_path: Path, workers: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    server = Server(tmp_path, RULESETS="", WORKERS=workers, PORT=port)
    server.start()
    follower: Follower | None = None
    try:
        server.deploy("inbox", DOCUMENT)
        told(server, "ada", 0)
        follower = Follower(server, token(server, "ada"))
        follower.start()
        eventually(lambda: follower.numbers() == [0], "the first comes")
        for n in range(1, 4):
            told(server, "ada", 10 * n)
            server.facts(fact("told", "ada", n=10 * n + 1), wait=False)
            server.stop(signal.SIGKILL)
            server.start()
            told(server, "ada", 10 * n + 2)
        expected = [0, *(10 * n + k for n in range(1, 4) for k in range(3))]
        eventually(lambda: sorted(follower.numbers()) == expected, "all come")
        server.settled()
        assert sorted(follower.numbers()) == expected
        assert follower.opened >= 4
        kept = inbox(server, token(server, "ada"))
        assert [each["id"] for each in kept["items"][::-1]] == [each["id"] for each in follower.events]
        assert server.stop() == 0
    finally:
        if follower is not None:
            follower.stop()
        server.close()
