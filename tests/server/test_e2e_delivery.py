"""Messages are handed over once, whatever happens around the hand-off."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from serverkit import Mailbox, Server, eventually, fact, fresh

DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: calls
requires:
  channels: [webhook]
facts:
  called: {{n: number}}
rules:
  call:
    when: fact.type == "called"
    then:
      - send: {{channel: webhook, template: call, purpose: internal, to: "{to}"}}
templates:
  call:
    text: number {{{{ fact.n }}}}
"""


class Receiver:
    """A web server that counts the idempotency keys it is called with, and runs ``before`` ahead of its answer."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.before: Callable[[], None] = lambda: None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                receiver.calls.append(self.headers["webhook-id"])
                receiver.before()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Stay silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.to = f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = Thread(target=made.server.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture
def own(tmp_path: Path, receiver: Receiver) -> Iterator[Server]:
    with Server(tmp_path, RULESETS="", EGRESS_ALLOW="127.0.0.0/8") as server:
        server.deploy("calls", DOCUMENT.format(to=receiver.to))
        yield server


def test_many_messages_to_few_contacts_go_once_and_in_order(server: Server, mailbox: Mailbox) -> None:
    names = [fresh("ada") for _ in range(12)]
    for name in names:
        consent = fact("consent", name, channel="email", purpose="marketing", state="granted")
        server.facts(fact("identify", name, email=f"{name}@example.com"), consent)

    def download(name: str) -> None:
        for n in range(12):  # while earlier ones are under way
            server.facts(fact("guide_downloaded", name, guide=f"g{n}", topic=f"{n}"), wait=False)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(download, names))
    server.settled()
    for name in names:
        subjects = [str(mail.message["Subject"]) for mail in mailbox.to(f"{name}@example.com")]
        assert subjects == [f"More on {n}" for n in range(12)]


def test_the_store_dies_while_a_message_is_handed_over(own: Server, receiver: Receiver) -> None:
    """It was confirmed to us; that it could not be written down at once is no reason to send it again."""

    def kill() -> None:
        receiver.before = lambda: None
        os.kill(store, signal.SIGSTOP)
        Thread(target=end).start()

    def end() -> None:
        time.sleep(0.3)
        os.kill(store, signal.SIGKILL)

    for n in range(3):
        receiver.before, store = kill, own.process_of("valkey")
        own.facts(fact("called", "ada", n=n), wait=False)
        eventually(lambda n=n: len(receiver.calls) > n, "the receiver is called")
        own.new_store(store)
        messages = own.messages("ada")
        assert [m["state"] for m in messages] == ["sent"] * (n + 1)
    assert Counter(receiver.calls).most_common(1)[0][1] == 1


def test_the_server_dies_while_a_message_is_handed_over(own: Server, receiver: Receiver) -> None:
    """Whether it arrived cannot be known: it is sent again under the same key, and says so."""
    assert own.process is not None
    pid = own.process.pid
    receiver.before = lambda: os.kill(pid, signal.SIGKILL)
    own.facts(fact("called", "ada", n=1), wait=False)
    own.process.wait(30)
    receiver.before = lambda: None
    own.start()
    (message,) = own.messages("ada")
    assert (message["state"], message["attempts"], message["ambiguous"]) == ("sent", 2, 1)
    assert receiver.calls == [message["id"]] * 2
