"""`OvertureServer`: a whole Overture in a process of its own, with all plugins that are installed here."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import quote

from overture.model.environ import PREFIX, without_settings

PATIENCE = 30.0  # seconds that anything here may take
STOPPING = 90.0  # seconds: all that a plugin may take its time for at the end is bounded, one after the other
ADMIN, WRITE = "admin-key-of-this-test", "write-key-of-this-test"
_LISTENS = re.compile(r"listens on http://127\.0\.0\.1:(\d+)")


class OvertureServer:
    """``overture serve`` on a free port of 127.0.0.1, with its data, settings and output in ``directory``.

    ::

        channels = {"sms": {"url": provider.url, "token": "env:SMS_TOKEN"}}
        with OvertureServer(tmp_path, channels=channels, environ={"SMS_TOKEN": "s3cret"}) as server:
            server.deploy(Path("shipped.yaml"))
            server.post({"id": "1", "type": "order_completed", "contact": "ada"})
            assert [message["state"] for message in server.messages("ada")] == ["sent"]

    ``channels`` and ``sources`` are the tables of ``overture.toml``, ``settings`` others (``movable_clock=True``),
    ``environ`` what its environment has besides. No ruleset is active but those deployed.
    """

    def __init__(
        self,
        directory: Path,
        *,
        channels: Mapping[str, Mapping[str, Any]] | None = None,
        sources: Mapping[str, Mapping[str, Any]] | None = None,
        environ: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.directory = directory
        self.port = 0
        self._tables = {"channels": channels or {}, "sources": sources or {}}
        self._environ = dict(environ or {})
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``"""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Of its process; 0 while it does not run."""
        return self._process.pid if self._process is not None else 0

    @property
    def output(self) -> str:
        """What it has printed so far, its log included."""
        file = self.directory / "output.txt"
        return file.read_text("utf-8", "replace") if file.exists() else ""

    def start(self) -> Self:
        """Returns when it is ready. Raises RuntimeError, with what it printed, when it does not start."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "overture.toml").write_text(_toml(self._settings, self._tables), "utf-8")
        own = {
            "DATA_DIR": str(self.directory / "data"), "PORT": "0", "ADMIN_KEY": ADMIN, "WRITE_KEY": WRITE,
            "RULESETS": "", "LOG_LEVEL": "warning", "LEASE_SECONDS": "0.5",
        }  # fmt: skip
        environ = {f"{PREFIX}{name}": value for name, value in own.items()}
        with (self.directory / "output.txt").open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "overture.cli", "serve"], cwd=self.directory,
                env=without_settings() | environ | self._environ, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self.port = int(self.eventually(self._listening, "the server listens")[1])
        self.eventually(lambda: self.call("GET", "/readyz")[0] == 200, "the server is ready")
        return self

    def stop(self, sign: signal.Signals = signal.SIGINT) -> int:
        """Stop it as Ctrl-C does; answers its exit code. `start` starts it again, with the same data."""
        assert self._process is not None, "the server does not run"
        if self._process.poll() is None:
            self._process.send_signal(sign)
        code = self._process.wait(STOPPING)
        self._process = None
        return code

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.stop()

    def call(
        self, method: str, path: str, body: Any = None, *, key: str = ADMIN, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """One request of the API, or of a source: status, and what was answered, read as JSON where it is any.

        A body that is not bytes is sent as JSON; ``key`` is the admin key, ``WRITE`` of this module the other one.
        """
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            sent = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", **(headers or {})}
            connection.request(method, path, data, sent)
            reply = connection.getresponse()
            raw = reply.read()
        finally:
            connection.close()
        try:
            return reply.status, json.loads(raw)
        except ValueError:
            return reply.status, raw

    def post(self, *facts: Mapping[str, Any], backfill: bool = False) -> None:
        """Post facts as an app does; returns when all are decided. AssertionError where one is refused."""
        status, told = self.call(
            "POST", f"/v1/facts?wait=true&backfill={str(backfill).lower()}", list(facts), key=WRITE
        )
        assert status == 200, told
        assert not told["rejected"], told

    def deploy(self, document: Path | str) -> None:
        """Make a ruleset active: a file, or its text. AssertionError with the errors where it has any."""
        text = document.read_text("utf-8") if isinstance(document, Path) else document
        found = re.search(r"^name: *(\S+)", text, re.MULTILINE)
        assert found, "the ruleset has no name"
        name = quote(found[1])
        status, told = self.call(
            "PUT", f"/v1/rulesets/{name}", text.encode(), headers={"Content-Type": "application/yaml"}
        )
        assert status in (200, 201), told
        status, told = self.call("POST", f"/v1/rulesets/{name}/revisions/{told['revision']}/activate")
        assert status == 200, told

    def contact(self, id: str) -> Any:
        """A contact once all facts are decided; None where there is none."""
        self.eventually(lambda: self.call("GET", "/readyz")[1].get("lag") == 0, "every fact is decided")
        status, told = self.call("GET", f"/v1/contacts/{quote(id, safe='')}")
        return told if status == 200 else None

    def messages(self, contact: str) -> list[Any]:
        """All messages to a contact, oldest first, when none of any contact is queued or under way."""

        def settled() -> bool:
            states = ("queued", "sending")
            return not any(self.call("GET", f"/v1/messages?state={state}&limit=1")[1]["items"] for state in states)

        self.contact(contact)
        self.eventually(settled, "no message is under way")
        found = self.call("GET", "/v1/messages?limit=500")[1]["items"]
        return [message for message in found if message["contact"] == contact][::-1]

    def plugins(self) -> list[Any]:
        """What ``GET /v1/plugins`` answers."""
        return self.call("GET", "/v1/plugins")[1]

    def advance(self, by: str) -> None:
        """Put its clock ahead, by ``"1d"``, and wait until all that was due is done: with ``movable_clock=True``."""
        status, told = self.call("POST", "/v1/clock", {"advance": by})
        assert status in (200, 202), told
        self.eventually(lambda: self.call("GET", "/v1/clock")[1]["to"] is None, f"the clock is {by} ahead")

    def eventually(self, check: Callable[[], Any], what: str) -> Any:
        """What ``check`` answers as soon as that is true; AssertionError where it is not within `PATIENCE`."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if answer := check():
                    return answer
            except ConnectionError:
                pass
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"the server does not run: {self.output}")
            assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}\n{self.output}"
            time.sleep(0.02)

    def _listening(self) -> re.Match[str] | None:
        return _LISTENS.search(self.output)


def _toml(settings: Mapping[str, Any], tables: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    lines = [f"{name} = {_value(value)}" for name, value in settings.items()]
    for kind, named in tables.items():
        for name, given in named.items():
            lines += [f"[{kind}.{name}]", *(f"{key} = {_value(value)}" for key, value in given.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(each)}" for key, each in items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, cast("Sequence[Any]", value))) + "]"
    return json.dumps(str(value) if isinstance(value, Path) else value)
