"""Sources that fetch, in a real server: one of them at a time, from the place that was reached, whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

from serverkit import Server, eventually, installed, written

from overture.node.pulling import RENEW

LINES = """
import asyncio
import json
import os
import time
from pathlib import Path

from pydantic import BaseModel

from overture.plugin import PullSourcePlugin, hookimpl


class Config(BaseModel):
    file: Path
    ends: bool = False


class Sleepy(Exception):
    def __str__(self):
        time.sleep(600)


class Lines:
    '''The lines of a file that grows; the place is how far it was read. It tells in another one who it is.'''

    def __init__(self, config):
        self.config = config

    async def run(self, emit):
        with open(f"{self.config.file}.runs", "a") as runs:
            runs.write(f"{os.getpid()} {emit.place or 0}\\n")
        at = int(emit.place or 0)
        while True:
            with open(self.config.file, "rb") as file:
                file.seek(at)
                line = file.readline()
            if line.startswith(b"STOP"):
                raise RuntimeError("the line stops it")
            if line.startswith(b"SLEEP"):
                raise Sleepy
            if line.endswith(b"\\n"):
                at += len(line)
                taken = await emit([json.loads(line)], str(at))
                with open(f"{self.config.file}.taken", "a") as told:
                    told.write(json.dumps([taken.accepted, taken.duplicates, [r[1] for r in taken.refused]]) + "\\n")
            elif self.config.ends:
                return
            else:
                await asyncio.sleep(0.02)

    async def close(self):
        pass


@hookimpl
def overture_sources():
    yield PullSourcePlugin(name="lines", config=Config, open=Lines)
"""
COUNTING = """\
apiVersion: overture/v1
kind: Ruleset
name: counting
facts: {read: {n: int}}
scores: {read: {}}
rules:
  read: {when: fact.type == "read", then: [{score: {name: read, add: 1}}]}
"""


def lines(first: int, last: int) -> str:
    facts = [{"id": f"l{n}", "type": "read", "contact": "ada", "properties": {"n": n}} for n in range(first, last)]
    return "".join(json.dumps(fact) + "\n" for fact in facts)


def set_up(directory: Path, more: str = "", **settings: str) -> tuple[Server, Path]:
    file = directory / "facts"
    file.write_text("")
    written(installed(directory, "lines", LINES), f"[sources.lines]\nfile = '{file}'\n{more}")
    return Server(directory, RULESETS="", **settings), file


def state(server: Server) -> str:
    offers = [offer for plugin in server.get("/v1/plugins") for offer in plugin["offers"] if offer["name"] == "lines"]
    return offers[0]["open"]["lines"]


def read(server: Server) -> Any:
    found = server.find("ada")
    return 0 if found is None else found["scores"].get("read", 0)


def runs(file: Path) -> list[tuple[int, int]]:
    """(pid, place) of each run."""
    told = Path(f"{file}.runs")
    pairs = [line.split() for line in told.read_text().splitlines()] if told.exists() else []
    return [(int(pid), int(place)) for pid, place in pairs]


def quietly(check: Callable[[], bool]) -> bool:
    """Where a process is killed that others share a port with, requests on their way to it are lost."""
    try:
        return check()
    except (ConnectionError, HTTPException):
        return False


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return str(free.getsockname()[1])


def append(file: Path, text: str) -> None:
    with file.open("a") as end:
        end.write(text)


def test_each_fact_is_taken_once_however_often_it_is_run(tmp_path: Path) -> None:
    server, file = set_up(tmp_path)
    with server:
        server.deploy("counting", COUNTING)
        append(file, lines(0, 50))
        eventually(lambda: read(server) == 50, "all were read")
        assert state(server) == "running"
        server.stop(signal.SIGKILL)
        append(file, lines(40, 80))
        server.start()
        eventually(lambda: read(server) == 80, "it goes on, and what comes again is a duplicate")
        (first, begin), (second, place) = runs(file)
        assert (begin, first != second) == (0, True)
        assert 0 < place <= len(lines(0, 50)), "from the place that was reached"


def test_the_text_of_an_error_holds_up_nobody(tmp_path: Path) -> None:
    server, file = set_up(tmp_path)
    with server:
        append(file, "SLEEP\n")
        eventually(lambda: state(server).startswith("failed"), "it has failed, and the server answers")
        assert "The text of its error kept the process to itself for 250 ms" in state(server)


def test_a_run_that_fails_is_run_again_and_a_fact_that_is_none_stops_nothing(tmp_path: Path) -> None:
    server, file = set_up(tmp_path)
    with server:
        server.deploy("counting", COUNTING)
        append(file, lines(0, 3) + '{"type": "nobody"}\n' + lines(3, 6) + "STOP\n")
        eventually(lambda: state(server).startswith("failed"), "it has failed")
        assert state(server) == "failed, run again in 1 s: RuntimeError: the line stops it"
        eventually(lambda: read(server) == 6, "what stands before it was read")
        told = [json.loads(line) for line in Path(f"{file}.taken").read_text().splitlines()]
        assert [each for each in told if each[2]] == [[0, 0, ["fact.contact_missing"]]]
        (refused,) = server.get("/v1/sources/refused")
        assert (refused["source"], json.loads(refused["fact"])) == ("lines", {"type": "nobody"})
        file.write_text(file.read_text().replace("STOP\n", lines(6, 9)))
        eventually(lambda: read(server) == 9, "the next run gets by")
        assert runs(file)[-1][1] == runs(file)[1][1] > 0


def test_of_several_processes_one_runs_it_and_another_takes_over(tmp_path: Path) -> None:
    server, file = set_up(tmp_path, WORKERS="2", PORT=free_port())  # one for all: they share it
    with server:
        server.deploy("counting", COUNTING)
        append(file, lines(0, 5))
        eventually(lambda: read(server) == 5, "all were read")
        ((pid, _),) = runs(file)
        assert server.process is not None
        if pid == server.process.pid:
            server.stop(signal.SIGKILL)
            server.start()
        else:
            os.kill(pid, signal.SIGKILL)
        append(file, lines(5, 9))
        eventually(lambda: quietly(lambda: read(server) == 9), "another one goes on")
        (_, place) = runs(file)[-1]
        assert place == len(lines(0, 5))


def test_one_that_has_come_to_its_end_is_finished_and_no_other_process_runs_it(tmp_path: Path) -> None:
    server, file = set_up(tmp_path, more="ends = true\n", WORKERS="2", PORT=free_port())
    append(file, lines(0, 4))
    with server:
        server.deploy("counting", COUNTING)
        told = set[str]()
        eventually(lambda: told.add(state(server)) or len(told) == 2, "both processes have told what they do of it")
        eventually(lambda: state(server) == "finished", "it is done")
        time.sleep(2 * RENEW)  # both have asked for the turn meanwhile
        assert len(runs(file)) == 1
        assert len(Path(f"{file}.taken").read_text().splitlines()) == 4
