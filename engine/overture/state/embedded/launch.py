"""Bringing the store's process up, by starting one or adopting a survivor, and bringing it down."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import subprocess
from pathlib import Path

from overture.model.environ import without_settings
from overture.model.errors import OvertureError, StartupRefused, StoreUnavailable
from overture.state.embedded.appendonly import require_manifest
from overture.state.embedded.binary import Durability, find_server, options
from overture.state.embedded.directory import DataDirectory
from overture.state.embedded.process import Process
from overture.state.wire import Wire

_TICK = 0.01
_TO_LISTEN = 2.0  # seconds after which a store that nobody can connect to will not listen any more
_TO_END = 10.0

_log = logging.getLogger("overture.store")


class Launcher:
    """The process of one store. ``pid`` is what it says of itself; ``process`` is it where we know that for sure."""

    def __init__(self, directory: DataDirectory, durability: Durability, patience: float) -> None:
        self.pid = 0
        self.process: Process | None = None
        self._directory = directory
        self._durability: Durability = durability
        self._patience = patience
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def log_path(self) -> Path:
        return self._directory.path / "store.log"

    async def up(self) -> None:
        """Start the store, or adopt the one that lives here already; return when it serves. Raises `StartupRefused`."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        deadline = begun + self._patience
        spawned = False
        while True:
            lock = self._directory.lock_store()
            if lock is not None:
                try:
                    if spawned:
                        raise self._no_start("The store stopped right after its start")
                    self._spawn(lock)
                    spawned = True
                finally:
                    _close(lock)
            elif not spawned:
                self.process = self._directory.recall()
            try:
                await self._greet()
                return
            except StoreUnavailable as error:
                if isinstance(error.__cause__, OvertureError):  # it answered, but is still loading
                    deadline = loop.time() + self._patience
                elif loop.time() > deadline:
                    if spawned and self._child is not None:
                        self._child.kill()
                    raise self._no_start(f"The store did not answer within {self._patience:g} s") from error
                elif not spawned and _deaf(error) and loop.time() > begun + _TO_LISTEN and await self._replace():
                    deadline = loop.time() + self._patience
            await asyncio.sleep(_TICK)

    async def down(self) -> bool:
        """Have the store end: asked first, then by signals. Whether it is gone."""
        patience = 0.0
        with contextlib.suppress(OvertureError):
            wire = await Wire.connect(self._directory.url, timeout=2.0)
            patience = _TO_END
            try:
                # The append-only file is all there is to keep, and a shutdown writes and syncs it.
                await wire.call("SHUTDOWN", "NOSAVE", "NOW")
            finally:
                await wire.close()
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if self.process is None or await self._gone(patience):
                break
            _log.warning("The store (pid %d) cannot be asked to stop; sending it %s.", self.process.pid, sign.name)
            self.process.signal(sign)
            patience = _TO_END
        gone = await self._gone(patience)
        if gone and self._child is not None:
            self._child.wait()
        return gone

    def abandon(self) -> None:
        """After a start that failed: leave nothing behind that was started for it."""
        if self._child is not None:
            self._child.terminate()
            self._child.poll()

    async def _replace(self) -> bool:
        """Have a survivor end that nobody can reach. One that is not on record may be anybody's, and is left alone."""
        if self.process is None or not self.process.lives():
            return False
        _log.warning("The store (pid %d) has lost its socket; another takes its place.", self.process.pid)
        await self.down()
        return True

    async def _gone(self, patience: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while (lock := self._directory.lock_store()) is None:
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(_TICK)
        _close(lock)
        return True

    def _spawn(self, lock: list[int]) -> None:
        if self._child is not None:
            self._child.wait()
        require_manifest(self._directory.path)
        try:
            self._directory.remember(None)
            if self.log_path.exists():
                self.log_path.replace(self.log_path.with_suffix(".log.1"))
            with self.log_path.open("wb") as log:
                self._child = subprocess.Popen(
                    [find_server(), *options(self._directory.path, self._directory.socket, self._durability)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=lock,
                    start_new_session=True,  # Ctrl-C on the terminal is for the server, which then stops the store
                    umask=0o077,
                    env=without_settings(),
                )
        except OSError as error:
            raise self._no_start(f"The store cannot be started ({error})") from error
        self.process = Process.find(self._child.pid)
        with contextlib.suppress(OSError):  # on a full disk it serves all the same
            self._directory.remember(self.process)

    async def _greet(self) -> None:
        wire = await Wire.connect(self._directory.url, timeout=2.0)
        try:
            serves = os.fsdecode((await wire.call("CONFIG", "GET", "dir"))[1])
            if not self._directory.is_at(serves):
                raise self._no_start(f"The store at {self._directory.socket} serves another directory, {serves}")
            await wire.call("CONFIG", "SET", "appendfsync", self._durability)
            facts = (await wire.call("INFO", "server")).decode()
        finally:
            await wire.close()
        self.pid = int(re.findall(r"process_id:(\d+)", facts)[0])
        if self.process is not None and self.process.pid != self.pid:
            self.process = None

    def _no_start(self, what: str) -> StartupRefused:
        tail = ""
        with contextlib.suppress(OSError):
            tail = " | ".join(self.log_path.read_text(errors="replace").splitlines()[-3:])
        return StartupRefused(
            "store.no_start",
            f"{what}; its log ends: {tail or '(empty)'}",
            f"The whole log is {self.log_path}. End a store process that hangs; repair a damaged append-only file with"
            " valkey-check-aof --fix, or put back a backup of the data directory.",
        )


def _deaf(error: StoreUnavailable) -> bool:
    return isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError)


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
