"""The embedded store as a server uses it: up while it is needed, whatever happens to its process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Self

from overture.model.errors import OvertureError
from overture.state.embedded.binary import Durability
from overture.state.embedded.directory import DataDirectory
from overture.state.embedded.launch import Launcher

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 5.0
_STEADY_SECONDS = 10.0

_log = logging.getLogger("overture.store")


class EmbeddedStore:
    """Starts the store, starts it again when it dies, stops it: ``async with EmbeddedStore(path) as store: store.url``.

    ``durability`` is the store's ``appendfsync``; anything but ``always`` can lose acknowledged facts at a power cut.
    ``patience``: seconds the store may take to answer, not counting the time it loads its data.

    Other processes join through the URL, which also stands in ``store.json``. Only POSIX systems.
    """

    def __init__(self, data_dir: Path, *, durability: Durability = "always", patience: float = 30.0) -> None:
        self._directory = DataDirectory(data_dir)
        self._launcher = Launcher(self._directory, durability, patience)
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def data_dir(self) -> Path:
        return self._directory.path

    @property
    def url(self) -> str:
        """``unix://`` and the socket's path, for redis-py and `Wire`."""
        return self._directory.url

    @property
    def pid(self) -> int:
        """The store's process; another one after it died. 0 before the start."""
        return self._launcher.pid

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Lock the directory, bring the store up, watch over it.

        Raises `StartupRefused`: ``data.unwritable``, ``data.locked``, ``data.no_manifest``, ``store.no_binary`` or
        ``store.no_start``.
        """
        self._directory.claim()
        try:
            await self._launcher.up()
        except BaseException:
            self._launcher.abandon()
            self._directory.release()
            raise
        self._supervisor = asyncio.create_task(self._supervise(), name="store supervisor")

    async def stop(self) -> None:
        """Shut the store down, wait until it is gone, release the directory."""
        if self._supervisor is None:
            return
        self._supervisor.cancel()
        await asyncio.wait([self._supervisor])
        self._supervisor = None
        try:
            if await self._launcher.down():
                self._directory.forget()
            else:
                _log.error("The store (pid %d) does not stop; the next server adopts it.", self.pid)
        finally:
            self._directory.release()

    async def _supervise(self) -> None:
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            born, pid = loop.time(), self.pid
            await self._hang_up()
            if loop.time() - born > _STEADY_SECONDS:
                pause = _FIRST_PAUSE
            while not await self._back_up(pid):
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            # A store that dies again and again, on a full disk for one, is given time as well.
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _back_up(self, pid: int) -> bool:
        try:
            await self._launcher.up()
        except (OvertureError, OSError) as error:
            _log.error("The store (pid %d) died and does not come back: %s", pid, error)
            return False
        if self.pid != pid:
            _log.warning("The store (pid %d) died; it serves again (pid %d).", pid, self.pid)
        return True

    async def _hang_up(self) -> None:
        """Return when the store closes an idle connection, which the kernel does for it at the moment of its death."""
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_unix_connection(str(self._directory.socket))
            try:
                await reader.read()
            finally:
                writer.close()
