"""Other people's libraries, run unchanged in processes of their own, and a proxy before the server that fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from overture.model.environ import without_settings

PEERS = Path(__file__).parents[1] / "peers"
PASSED = ("content-type", "content-encoding", "retry-after", "set-cookie", "vary")
CORS = "access-control-"  # what headers begin with that pages of other origins look for
PATIENCE = 120.0  # seconds that a library may take to give everything away


@dataclass(frozen=True)
class Library:
    """``runs``: what its process is started with, before the address and the key."""

    name: str
    version: str
    runs: tuple[str, ...]
    path: str = ""

    def start(self, url: str, key: str, calls: Sequence[Any]) -> subprocess.Popen[str]:
        """Its process, which makes the calls and ends when all of them are given away."""
        environ = without_settings() | ({"PYTHONPATH": self.path} if self.path else {})
        process = subprocess.Popen(
            [*self.runs, url, key], env=environ, cwd=PEERS,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps(calls))
        process.stdin.close()
        process.stdin = None
        return process

    def ended(self, process: subprocess.Popen[str]) -> None:
        """Wait for it: it is the version it should be, and says of nothing that it was lost."""
        out, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
        assert json.loads(out) == {"version": self.version, "lost": []}, errors


def _python(name: str, version: str, package: str, path: str = "") -> Library:
    return Library(name, version, (sys.executable, str(PEERS / "python_client.py"), package), path)


def _node(name: str, version: str) -> Library:
    return Library(name, version, ("node", str(PEERS / "node_client.cjs"), name))


SEGMENT = (
    _python("segment-analytics-python", "2.4.0", "segment"),
    _python("segment-analytics-python", "2.2.2", "segment", str(PEERS / "segment-2.2.2")),
    _node("@segment/analytics-node", "3.1.0"),
)
RUDDERSTACK = (
    _python("rudder-sdk-python", "2.1.9", "rudderstack"),
    _node("@rudderstack/rudder-sdk-node", "3.0.13"),
)


def _tracker(script: str, name: str, version: str, variant: str = "") -> Library:
    runs = (sys.executable,) if script.endswith(".py") else ("node",)
    more = (variant,) if variant else ()
    return Library(f"{name} {variant}".strip(), version, (*runs, str(PEERS / script), name, *more))


def python_tracker(name: str, version: str, variant: str = "") -> Library:
    return _tracker("python_trackers.py", name, version, variant)


def node_tracker(name: str, version: str, variant: str = "") -> Library:
    return _tracker("node_trackers.cjs", name, version, variant)


LIBRARIES = {f"{each.name}-{each.version}": each for each in (*SEGMENT, *RUDDERSTACK)}

Fault = int | str | Callable[[], object]
"""A status that is answered in place of the server; ``lost``: the server gets it, and its answer is lost; else what is
done while the server has it."""


class Proxy:
    """Passes requests on to ``port``, but for the faults: one for each of the first requests that carry something, or
    with ``path`` whose path begins so.
    """

    def __init__(self, port: int, faults: Sequence[Fault] = (), path: str = "") -> None:
        self.target = port
        self.path = path
        self.faults = list(faults)
        self.answers: list[int] = []
        self.posted = 0  # requests that carried something
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                proxy.passed(self)

            do_GET = do_OPTIONS = do_POST

            def log_message(self, format: str, *args: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def passed(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        carries = request.path.startswith(self.path) and request.command != "OPTIONS" if self.path else bool(body)
        with self._lock:
            self.posted += bool(body)
            fault = self.faults.pop(0) if self.faults and carries else None
        if isinstance(fault, int):
            origin = request.headers.get("Origin", "*")
            cors = {"Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}
            self._answer(request, fault, cors | ({"Retry-After": "1"} if fault == 429 else {}), b"{}")
            return
        try:
            status, headers, said = self._forward(request, body, fault if callable(fault) else None)
        except (OSError, HTTPException):
            request.close_connection = True  # the server is away, and so is whoever asks
            return
        if fault is not None:
            request.close_connection = True
            return
        self._answer(request, status, headers, said)

    def _forward(
        self, request: BaseHTTPRequestHandler, body: bytes, meanwhile: Callable[[], object] | None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = HTTPConnection("127.0.0.1", self.target, timeout=30)
        try:
            headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
            connection.request(request.command, request.path, body, headers)
            if meanwhile is not None:
                meanwhile()
            reply = connection.getresponse()
            kept = {n: value for n, value in reply.headers.items() if n.lower() in PASSED or n.lower().startswith(CORS)}
            return reply.status, kept, reply.read()
        finally:
            connection.close()

    def _answer(self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
        self.answers.append(status)
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        with suppress(OSError):  # whoever asked has gone
            request.wfile.write(body)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def installed() -> None:
    """The libraries are there: `make test` installs them."""
    for needed in (PEERS / "node_modules" / "@segment", PEERS / "segment-2.2.2" / "segment"):
        assert os.path.isdir(needed), f"{needed} is missing: `make .venv/.peers` installs it"
