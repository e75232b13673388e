"""However many messages wait for one contact or one channel, those to others go, and each contact's in their order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from serverkit import Server, eventually, fact, written

CHANNELS = """
[channels.webhook]
timeout = 60
egress_allow = ["127.0.0.0/8"]
[channels.other]
plugin = "webhook"
egress_allow = ["127.0.0.0/8"]
"""
DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: crowded
requires: {channels: [webhook, other]}
facts: {asked: {n: int}, other: {n: int}}
rules:
  slow: {when: fact.type == "asked", then: [{send: {channel: webhook, to: "@slow", template: t, purpose: internal}}]}
  quick: {when: fact.type == "other", then: [{send: {channel: other, to: "@quick", template: t, purpose: internal}}]}
templates: {t: {text: "{{ fact.n }}"}}
"""


class Receiver:
    """A web server that lets those wait who call ``/slow``, until ``go`` is set, and notes what it answered."""

    def __init__(self) -> None:
        self.got: dict[str, list[tuple[str, int]]] = {"/slow": [], "/quick": []}  # contact and number, by path
        self.go = Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["data"]
                if self.path == "/slow":
                    receiver.go.wait()
                receiver.got[self.path].append((data["contact"], int(data["text"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.to = f"http://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = Thread(target=made.server.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.go.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.mark.parametrize("heavy", [1, 3000], ids=["one contact", "one channel"])
def test_thousands_that_wait_do_not_hide_those_behind_them(tmp_path: Path, receiver: Receiver, heavy: int) -> None:
    with Server(written(tmp_path, CHANNELS), PARTITIONS="1") as server:
        server.deploy("crowded", DOCUMENT.replace("@", receiver.to))
        for n in range(0, 3000, 500):
            server.facts(*[fact("asked", f"h{i % heavy}", n=i) for i in range(n, n + 500)], wait=False)
        server.drained()
        go = [*(f"q{i}" for i in range(10)), *(["h2999"] if heavy > 1 else [])]  # the last on the channel
        # One that has a message under way gets no other.
        server.facts(*[fact("other", contact, n=n) for n in range(3) for contact in [*go, "h0"]])
        eventually(lambda: len(receiver.got["/quick"]) >= 3 * len(go), "the others went")
        assert server.get("/v1/messages?state=retrying&limit=1")["items"] == [], "while the first were under way"
        assert receiver.got["/slow"] == []
        for contact in [*go, "h0"]:
            went = [n for who, n in receiver.got["/quick"] if who == contact]
            assert went == ([] if contact == "h0" else [0, 1, 2])
        receiver.go.set()


def test_of_many_with_many_each_gets_them_in_their_order(tmp_path: Path, receiver: Receiver) -> None:
    receiver.go.set()
    with Server(written(tmp_path, CHANNELS), PARTITIONS="1") as server:
        server.deploy("crowded", DOCUMENT.replace("@", receiver.to))
        for n in range(0, 1000, 500):
            sends = [fact("asked" if i % 7 else "other", f"c{i // 250}", n=i) for i in range(n, n + 500)]
            server.facts(*sends, wait=False)
        server.settled()
        for path in receiver.got:
            got = receiver.got[path]
            for contact in {who for who, _ in got}:
                numbers = [n for who, n in got if who == contact]
                assert numbers == sorted(numbers), path
        assert sum(len(got) for got in receiver.got.values()) == 1000
