"""A real `overture serve` in a process of its own, and a client that speaks to it as an app would."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import math
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from overture.model.environ import without_settings
from overture.settings import shipped_rulesets
from overture.testing import MailServer, ReceivedMail

ADMIN, WRITE = "admin-key-of-this-test", "write-key-of-this-test"
PATIENCE = 90.0  # seconds that anything here may take before the test fails

_numbers = itertools.count(1)


def fresh(prefix: str) -> str:
    """A name that no other test of this run uses."""
    return f"{prefix}{next(_numbers)}"


def fact(
    type: str, contact: str | dict[str, Any], at: str | None = None, id: str | None = None, **properties: Any
) -> Any:
    """A fact as an app posts it; without ``id`` it gets one of its own."""
    made: dict[str, Any] = {"id": id or fresh("fact-"), "type": type, "contact": contact, "properties": properties}
    return made | ({"occurred_at": at} if at else {})


def eventually(check: Callable[[], Any], what: str) -> Any:
    """What ``check`` answers as soon as that is true."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := check()):
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
        time.sleep(0.02)
    return answer


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Answer:
    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


SHIPPED = str(shipped_rulesets())


class Client:
    """Calls the HTTP API; safe to use from several threads."""

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(
        self, method: str, path: str, body: Any = None, *, key: str = ADMIN, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own; a body that is not bytes is sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            sent = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **(headers or {})}
            connection.request(method, path, data, sent)
            reply = connection.getresponse()
            return Answer(reply.status, dict(reply.headers), reply.read())
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        answer = self.call("GET", path)
        assert answer.status == 200, (path, answer.status, answer.body)
        return answer.json

    def facts(self, *facts: Any, wait: bool = True, backfill: bool = False) -> Any:
        """Post one fact, or several in one request; answers the summary, all of them taken or known."""
        flags = f"wait={str(wait).lower()}&backfill={str(backfill).lower()}"
        answer = self.call("POST", f"/v1/facts?{flags}", facts[0] if len(facts) == 1 else list(facts), key=WRITE)
        assert answer.status == 200, (answer.status, answer.body)
        assert not answer.json["rejected"], answer.json
        return answer.json

    def find(self, id: str) -> Any:
        """A contact, None if there is none."""
        answer = self.call("GET", f"/v1/contacts/{quote(id, safe='')}")
        assert answer.status in (200, 404), (answer.status, answer.body)
        return answer.json if answer.status == 200 else None

    def contact(self, id: str) -> Any:
        """A contact once all facts are decided."""
        self.drained()
        return self.get(f"/v1/contacts/{quote(id, safe='')}")

    def timeline(self, id: str, limit: int = 50) -> list[Any]:
        """All moments of a contact, oldest first, read in pages of ``limit``."""
        self.drained()
        return self.pages(f"/v1/contacts/{quote(id, safe='')}/timeline?limit={limit}")[::-1]

    def pages(self, path: str, after: str | None = None) -> list[Any]:
        """All items of a list, or those after a cursor; ``path`` has a query already."""
        items: list[Any] = []
        seen: set[str] = set()
        while True:
            page = self.get(path + (f"&cursor={quote(after, safe='')}" if after else ""))
            items += page["items"]
            after = page["next"]
            if after is None:
                return items
            assert after not in seen, f"{path} turns in a circle at {after}"
            seen.add(after)

    def messages(self, contact: str, state: str = "") -> list[Any]:
        """All messages to one contact, when no message of any contact is on its way any more."""
        self.settled()
        path = "/v1/messages?limit=500" + (f"&state={state}" if state else "")
        return [message for message in self.pages(path) if message["contact"] == contact]

    def ready(self) -> Any:
        return self.call("GET", "/readyz").json

    def now(self) -> datetime:
        """What time it is on a server whose clock can be moved."""
        return datetime.fromisoformat(self.get("/v1/clock")["now"])

    def advance(self, by: str, *, jump: bool = False) -> None:
        """Put its clock ahead, and wait until it is there and all that was due has been done."""
        answer = self.call("POST", "/v1/clock", {"advance": by, "jump": jump})
        assert answer.status in (200, 202), answer.body
        if to := answer.json["to"]:
            there = eventually(lambda: (told := self.get("/v1/clock"))["to"] is None and told, f"it is {by} later")
            assert there["now"] >= to, f"the clock stopped at {there['now']}"

    def advance_to(self, at: datetime) -> None:
        """Put its clock to an instant, or less than a second after it."""
        seconds = math.ceil((at - self.now()).total_seconds())
        assert seconds >= 0, f"{at} is over"
        for n, unit in ((seconds // 3600, "h"), (seconds % 3600, "s")):
            if n:
                self.advance(f"{n}{unit}")

    def drained(self) -> None:
        """Wait until every accepted fact is decided."""
        eventually(lambda: self.ready().get("lag") == 0, "every fact decided")

    def settled(self) -> None:
        """Wait until every fact is decided, no message is queued or under way, and the outcomes are decided too."""
        self.drained()
        for state in ("queued", "sending"):
            eventually(
                lambda state=state: not self.get(f"/v1/messages?state={state}&limit=1")["items"], f"none {state}"
            )
        self.drained()

    def document(self, name: str) -> str:
        """The shipped document of a ruleset."""
        return (shipped_rulesets() / f"{name}.yaml").read_text("utf-8")

    def put(self, name: str, text: str) -> str:
        """Keep a ruleset; answers its revision."""
        answer = self.call("PUT", f"/v1/rulesets/{name}", text.encode(), headers={"Content-Type": "application/yaml"})
        assert answer.status in (200, 201), answer.body
        return answer.json["revision"]

    def activate(self, name: str, revision: str, **headers: str) -> Answer:
        return self.call("POST", f"/v1/rulesets/{name}/revisions/{revision}/activate", headers=headers)

    def deploy(self, name: str, text: str) -> str:
        revision = self.put(name, text)
        answer = self.activate(name, revision)
        assert answer.status == 200, answer.body
        return revision


class Server(Client):
    """``overture serve`` with settings of its own; started and stopped as often as a test likes. It begins without
    rulesets: to prove all that ship takes seconds; ``RULESETS=SHIPPED`` where they are what is tested.
    """

    def __init__(self, directory: Path, **settings: str) -> None:
        super().__init__(0)
        self.directory = directory
        self.data = directory / "data"
        self.settings = settings
        self.output = directory / "output.txt"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environ(self) -> dict[str, str]:
        own = {
            "DATA_DIR": str(self.data),
            "PORT": "0",
            "ADMIN_KEY": ADMIN,
            "WRITE_KEY": WRITE,
            "LEASE_SECONDS": "0.5",
            "LOG_LEVEL": "warning",
            "RULESETS": "",
            **self.settings,
        }
        return without_settings() | {f"OVERTURE_{name}": value for name, value in own.items()}

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process without waiting for anything."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "overture.cli", "serve"],
                cwd=self.directory, env=self.environ, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        return self.process

    def start(self) -> Self:
        """Start, and wait until it is ready."""
        process = self.launch()

        def listening() -> re.Match[str] | None:
            assert process.poll() is None, self.said()
            return re.search(r"listens on http://127\.0\.0\.1:(\d+)", self.said())

        def ready() -> bool:
            try:
                return self.ready()["ready"]
            except ConnectionError:  # what said that it listens was a sibling of a process that was killed before
                return False

        self.port = int(eventually(listening, "the server listens")[1])
        eventually(ready, "the server is ready")
        return self

    def stop(self, sign: signal.Signals = signal.SIGINT) -> int:
        """Send a signal; answers the exit code when the process is gone, and what else it had started but the store. A
        sibling that lives on for a moment would answer in the name of the next one.
        """
        assert self.process is not None
        left = [pid for pid, name in self.children().items() if not name.startswith("valkey")]
        self.process.send_signal(sign)
        code = self.process.wait(PATIENCE)
        self.process = None
        eventually(lambda: not any(map(running, left)), "what it had started is gone")
        return code

    def close(self) -> None:
        """Leave nothing behind: a server that was killed leaves its store, which the next one adopts and stops."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        if (self.data / "store.json").exists():
            self.start()
            self.stop()

    def process_of(self, name: str) -> int:
        """The pid of a child of the server whose command begins with ``name``; 0 while there is none."""
        return next((pid for pid, comm in self.children().items() if comm.startswith(name)), 0)

    def children(self) -> dict[int, str]:
        """Its children by pid, with the beginning of each one's command."""
        assert self.process is not None
        pid = self.process.pid
        found: dict[int, str] = {}
        with contextlib.suppress(OSError):  # it, or one of them, is gone
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                found[int(child)] = Path(f"/proc/{child}/comm").read_text()
        return found

    def new_store(self, old: int) -> None:
        """Wait until the store whose pid was ``old`` has been replaced and serves."""
        eventually(lambda: self.process_of("valkey") not in (0, old), "the store is started again")
        eventually(lambda: self.ready().get("ready"), "the store is back")

    def said(self) -> str:
        return self.output.read_text("utf-8", "replace")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()


def refused(directory: Path, **settings: str) -> str:
    """The last line of a server that must not start; before it there is at most what it did until then."""
    server = Server(directory, **settings)
    process = server.launch()
    try:
        code = process.wait(PATIENCE)
    finally:
        if process.poll() is None:
            server.stop()
    *before, last = server.said().strip().splitlines()
    assert code == 3, server.said()
    assert last.startswith("overture: ")
    assert all(line.startswith(("Activated the rulesets", "Made the ")) for line in before), before
    return last


class Mailbox:
    """An SMTP server in a process of its own, for tests that have no event loop."""

    def __init__(self, server: MailServer, runner: asyncio.Runner) -> None:
        self._server = server
        self._runner = runner

    @property
    def url(self) -> str:
        return self._server.url

    def to(self, address: str) -> list[ReceivedMail]:
        return [mail for mail in self._server.mails() if mail.recipients == (address,)]

    def subjects(self, *addresses: str) -> list[str]:
        """Of all mails to any of them, in the order in which they came."""
        return [str(m.message["Subject"]) for m in self._server.mails() if set(m.recipients) & set(addresses)]

    def script(self, *actions: str) -> None:
        self._runner.run(self._server.script(*actions))


@contextlib.contextmanager
def mail_server(directory: Path) -> Iterator[Mailbox]:
    with asyncio.Runner() as runner:
        server = MailServer(directory)
        runner.run(server.start())
        try:
            yield Mailbox(server, runner)
        finally:
            runner.run(server.stop())


def installed(directory: Path, name: str, source: str) -> Path:
    """A plugin as pip would leave it: the server is run in this directory, which is on its path."""
    (directory / f"ov_{name}.py").write_text(source)
    info = directory / f"ov_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ov-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[overture]\n{name} = ov_{name}\n")
    return directory


def written(directory: Path, toml: str) -> Path:
    """The directory of a server with this ``overture.toml``."""
    (directory / "overture.toml").write_text(toml)
    return directory


def overture(
    *arguments: str, environ: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end; ``stdin`` is what is piped into it."""
    return subprocess.run(
        [sys.executable, "-m", "overture.cli", *arguments],
        cwd=cwd, env={**without_settings(), **(environ or {})}, input=stdin,
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip


def effects(moment: Any) -> list[tuple[Any, ...]]:
    """(kind, name, key, after, reason) of everything that rules did at one moment."""
    return [(e["kind"], e["name"], e["key"], e["after"], e["reason"]) for f in moment["firings"] for e in f["effects"]]


def fired(moments: Sequence[Any], rule: str) -> int:
    """How often a rule fired and was not held back by ``once_per``."""
    firings = [f for m in moments for f in m["firings"] if f["rule"] == rule]
    return sum(all(e["kind"] != "once_per" for e in f["effects"]) for f in firings)


def derived(moments: Sequence[Any], type: str) -> int:
    """How many facts of a type were derived."""
    found = [e for m in moments for f in m["firings"] for e in f["effects"]]
    return sum(e["kind"] == "assert" and e["name"] == type for e in found)
