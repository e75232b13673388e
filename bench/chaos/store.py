"""The store as a process of the bed's own, so that it can be killed and its power can be cut."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from overture.state.embedded import EmbeddedStore, find_server, options

SHIM = Path(__file__).with_name("power_cut_shim.c")


class Store:
    """The embedded store's binary and settings.

    ``weak``: fsync once a second, not before each answer. ``power_cut``: `kill` also loses what is not fsynced.
    """

    def __init__(self, folder: Path, *, weak: bool = False, power_cut: bool = False) -> None:
        self.folder = folder
        self.socket = folder / "store.sock"
        # Not started through it, as it would bring the store back before the power is cut; but with its very options.
        self.url = EmbeddedStore(folder).url
        self._command = [find_server(), *options(folder, self.socket, "everysec" if weak else "always")]
        self.cut_bytes = 0  # written but not on disk at the power cuts so far
        self._shim = _compile(folder) if power_cut else None
        self._process: subprocess.Popen[bytes] | None = None
        self._log = (folder / "store.log").open("ab")

    async def start(self) -> None:
        """Start and wait until it answers, i.e. has loaded its file."""
        process = self._process = self._spawn()
        deadline = time.monotonic() + 20
        while not self._answers():
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(f"The store does not start; see {self._log.name}.")
            await asyncio.sleep(0.02)

    def _spawn(self) -> subprocess.Popen[bytes]:
        env = dict(os.environ, **({"LD_PRELOAD": str(self._shim)} if self._shim else {}))
        self.socket.unlink(missing_ok=True)
        return subprocess.Popen(self._command, cwd=self.folder, env=env, stdout=self._log, stderr=self._log)

    def kill(self) -> None:
        """kill -9, and with ``power_cut`` all that no fsync covered is gone."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        if self._shim:
            for file in self.folder.rglob("*.incr.aof"):
                note = file.with_name(file.name + ".synced")
                on_disk = int(note.read_text() or 0) if note.exists() else 0
                written = file.stat().st_size
                if on_disk < written:
                    self.cut_bytes += written - on_disk
                    os.truncate(file, on_disk)

    def _answers(self) -> bool:
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(0.5)
                link.connect(str(self.socket))
                link.sendall(b"PING\r\n")
                return link.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _compile(folder: Path) -> Path:
    library = folder / "power_cut_shim.so"
    subprocess.run(["cc", "-O2", "-Wall", "-shared", "-fPIC", "-o", str(library), str(SHIM), "-ldl"], check=True)
    return library
