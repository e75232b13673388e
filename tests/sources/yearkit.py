"""A server with a year of real purchases in it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich.console import Console

from overture.cli.replay import Outcome, replay
from overture.model.environ import without_settings

WRITE_KEY = "write-key-for-the-replay-test-0001"
ADMIN_KEY = "admin-key-for-the-replay-test-0001"


@dataclass
class Server:
    url: str

    @property
    def environ(self) -> dict[str, str]:
        """For a command line that speaks to it."""
        keys = {"OVERTURE_WRITE_KEY": WRITE_KEY, "OVERTURE_ADMIN_KEY": ADMIN_KEY}
        return {**without_settings(), **keys, "OVERTURE_PORT": self.url.rpartition(":")[2]}

    def replay(self) -> Outcome:
        return replay("completejourney", self.url, WRITE_KEY, admin_key=ADMIN_KEY, console=Console(file=StringIO()))


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """`overture serve` as a person starts it: embedded store, shipped rulesets."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {
        **without_settings(),
        "OVERTURE_DATA_DIR": str(folder / "data"),
        "OVERTURE_PORT": str(port),
        "OVERTURE_WRITE_KEY": WRITE_KEY,
        "OVERTURE_ADMIN_KEY": ADMIN_KEY,
    }
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "overture.cli", "serve"], env=env, cwd=folder, stdout=out, stderr=out
        )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 30
        while not _ready(url):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield Server(url)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as response:
            return response.status == 200
    except OSError:
        return False
