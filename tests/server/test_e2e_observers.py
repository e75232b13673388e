"""Observers and health checks in a real server: told, and asked, without holding anything up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hookkit
import pytest
from serverkit import Server, eventually, fact, mail_server
from test_e2e_gates import RULES

OBSERVER = """
class Tape(Closes):
    def __init__(self, config): pass

    async def observe(self, event):
        match mode("observe"):
            case "raise":
                raise RuntimeError("it is broken today")
            case "hang":
                await asyncio.sleep(30)
        if isinstance(event, Decided):
            told("tape", [event.type, event.contact, dict(event.properties), list(event.rules), len(event.messages)])
        else:
            told("tape", [event.state, event.contact, event.channel, event.template, event.reason])


@hookimpl
def overture_observers():
    yield ObserverPlugin(name="tape", config=Config, open=Tape, queue=20, timeout=0.2)
"""
CHECK = """
class Disk(Closes):
    def __init__(self, config):
        self.name = config.word or "disk"

    async def check(self):
        if mode(self.name) == "hang":
            await asyncio.sleep(30)
        trouble(self.name)


@hookimpl
def overture_health_checks():
    yield HealthCheckPlugin(name="disk", config=Config, open=Disk, every=0)
    yield HealthCheckPlugin(
        name="vault", config=Config, open=lambda config: Disk(Config(word="vault")), required=True, every=0
    )
"""


def tape(here: Path) -> list[Any]:
    file = here / "tape"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_it_is_told_of_facts_and_of_what_became_of_messages(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    with (
        mail_server(tmp_path / "mail") as mailbox,
        hookkit.server(tmp_path, OBSERVER, SMTP_URL=mailbox.url) as server,
    ):
        server.deploy("gated", RULES)
        server.facts(fact("identify", "ada", email="ada@example.org"), fact("ordered", "ada", n=[1]))
        eventually(lambda: len(tape(tmp_path)) == 3, "it is told of three things")
        assert tape(tmp_path) == [
            ["identify", "ada", {"email": "ada@example.org"}, [], 0],
            ["ordered", "ada", {"n": [1]}, ["gated/ordered"], 1],
            ["sent", "ada", "email", "thanks", ""],
        ]


@pytest.mark.parametrize("how", ["raise", "hang"])
def test_one_that_fails_holds_up_nothing_and_what_it_missed_is_counted(tmp_path: Path, how: str) -> None:
    (tmp_path / "observe").write_text(how)
    with hookkit.server(tmp_path, OBSERVER) as server:
        facts = [fact("read", f"reader{n}") for n in range(200)]
        assert server.facts(*facts)["accepted"] == 200
        server.drained()

        def trouble() -> Any:
            found: Any = hookkit.offer(server, "observer", "tape")
            told = found["trouble"].get("tape", {"failures": 0, "dropped": 0})
            return told if told["failures"] + told["dropped"] == 200 else None

        told = eventually(trouble, "each event was tried or dropped")
        assert told["failures"] >= 5
        assert told["dropped"] > 0


def test_what_waits_is_told_before_the_server_stops(tmp_path: Path) -> None:
    with hookkit.server(tmp_path, OBSERVER) as server:
        server.facts(*(fact("read", "ada") for _ in range(10)))
    assert len(tape(tmp_path)) == 10


def checks(server: Server) -> tuple[bool, Any]:
    told = server.ready()
    return told["ready"], told["checks"]


def test_health_checks_are_parts_of_whether_the_server_is_ready(tmp_path: Path) -> None:
    with hookkit.server(tmp_path, CHECK) as server:
        well = {"well": True, "required": False, "error": ""}
        assert checks(server) == (True, {"disk": well, "vault": {**well, "required": True}})
        (tmp_path / "disk").write_text("raise")
        ready, told = checks(server)
        said = "The health check disk raised RuntimeError: it is broken today."
        assert (ready, told["disk"]) == (True, {"well": False, "required": False, "error": said})
        (tmp_path / "vault").write_text("hang")
        ready, told = checks(server)
        assert (ready, told["vault"]["well"]) == (False, False)
        assert told["vault"]["error"] == "The health check vault did not answer within 2 s."
        (tmp_path / "vault").unlink()
        assert checks(server)[0]
