"""Delivery gates in a real server: no message leaves without being asked about, and what was said is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import hookkit
import pytest
from serverkit import Mailbox, Server, eventually, fact, mail_server

GATE = """
class Budget(Closes):
    def __init__(self, config):
        if mode("open") == "raise":
            raise RuntimeError("it cannot be opened")

    async def allow(self, message):
        told("asked", [message.to, message.subject, message.purpose])
        match mode("gate"):
            case "deny":
                return Deny("budget.spent", "Nothing is left of it.")
            case "hold":
                return Hold(after=3600, text="The month is over soon.")
            case "badly":
                return Deny("No code", "…")
            case "wrong":
                return True
        trouble("gate")
        return Allow()


@hookimpl
def overture_delivery_gates():
    yield DeliveryGatePlugin(name="budget", config=Config, open=Budget)
"""
RULES = """\
apiVersion: overture/v1
kind: Ruleset
name: gated
requires: {channels: [email]}
facts: {ordered: {}}
rules:
  ordered:
    when: fact.type == "ordered"
    then: [{send: {channel: email, template: thanks, purpose: transactional}}]
templates:
  thanks: {subject: Thanks, text: Thank you.}
"""


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    (tmp_path / "mail").mkdir()
    with mail_server(tmp_path / "mail") as box:
        yield box


def order(server: Server) -> None:
    server.facts(fact("identify", "ada", email="ada@example.org"), fact("ordered", "ada"))


def message(server: Server, state: str) -> Any:
    return eventually(lambda: server.get(f"/v1/messages?state={state}")["items"], f"one is {state}")[0]


def served(tmp_path: Path, mailbox: Mailbox, toml: str = "") -> Server:
    server = hookkit.server(tmp_path, GATE, toml, SMTP_URL=mailbox.url)
    server.start()
    server.deploy("gated", RULES)
    return server


def test_what_it_allows_goes(tmp_path: Path, mailbox: Mailbox) -> None:
    server = served(tmp_path, mailbox)
    try:
        order(server)
        message(server, "sent")
        assert mailbox.subjects("ada@example.org") == ["Thanks"]
        assert (tmp_path / "asked").read_text() == '["ada@example.org", "Thanks", "transactional"]\n'
    finally:
        server.close()


def test_what_it_denies_is_dropped_and_the_timeline_says_why(tmp_path: Path, mailbox: Mailbox) -> None:
    (tmp_path / "gate").write_text("deny")
    server = served(tmp_path, mailbox)
    try:
        order(server)
        said = "The delivery gate budget says: Nothing is left of it."
        assert message(server, "dropped")["reason"] == f"budget.spent: {said}"
        outcome = eventually(
            lambda: [m["fact"] for m in server.timeline("ada") if m["fact"]["type"] == "message.dropped"], "it is told"
        )[0]
        assert (outcome["properties"]["reason"], outcome["properties"]["detail"]) == ("budget.spent", said)
        assert mailbox.subjects("ada@example.org") == []
    finally:
        server.close()


def test_what_it_holds_waits_and_is_asked_about_again(tmp_path: Path, mailbox: Mailbox) -> None:
    (tmp_path / "gate").write_text("hold")
    server = served(tmp_path, mailbox)
    try:
        order(server)
        held = message(server, "retrying")
        assert held["reason"] == "gate.held: The delivery gate budget says: The month is over soon."
        assert held["attempts"] == 0
        (tmp_path / "gate").unlink()
        id = quote(held["id"], safe="")
        assert server.call("POST", f"/v1/messages/{id}/retry").status == 200
        message(server, "sent")
        assert len((tmp_path / "asked").read_text().splitlines()) == 2
    finally:
        server.close()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("raise", "The delivery gate budget raised RuntimeError: it is broken today."),
        ("wrong", "The delivery gate budget answered what cannot be used: "),
        ("badly", "The delivery gate budget answered what cannot be used: "),
    ],
)
def test_where_it_fails_messages_wait_and_go_when_it_is_well(
    tmp_path: Path, mailbox: Mailbox, how: str, said: str
) -> None:
    (tmp_path / "gate").write_text(how)
    server = served(tmp_path, mailbox)
    try:
        order(server)
        assert message(server, "retrying")["reason"].startswith(f"gate.failing: {said}")
        assert hookkit.offer(server, "delivery_gate", "budget")["trouble"]["budget"]["last"].startswith(said)
        assert mailbox.subjects("ada@example.org") == []
        (tmp_path / "gate").unlink()
        message(server, "sent")  # by itself
        assert mailbox.subjects("ada@example.org") == ["Thanks"]
    finally:
        server.close()


def test_one_that_cannot_be_opened_lets_nothing_go(tmp_path: Path, mailbox: Mailbox) -> None:
    (tmp_path / "open").write_text("raise")
    server = served(tmp_path, mailbox)
    try:
        order(server)
        held = message(server, "retrying")
        assert held["reason"].startswith("gate.failing: The delivery gate budget could not be opened: RuntimeError")
        assert mailbox.subjects("ada@example.org") == []
    finally:
        server.close()
