"""The data directory of an embedded store: whose it is, where its store listens, which process that is."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from overture.model.errors import StartupRefused
from overture.state.embedded.process import Process

# sun_path holds 108 bytes on Linux and 104 on macOS, the closing zero included.
_LONGEST_SOCKET_PATH = 103


class DataDirectory:
    """``path`` and the ``socket`` of the store that serves it.

    Two locks, both released by the kernel with the process that holds them, so neither can go stale:

    - ``lock`` is held by the one server that supervises the store;
    - the store's is held by the store process itself, which inherits the descriptors: of ``store.lock``, and of the
      directory, because the file may be deleted. While it is held a store lives here, though the server that started
      it was killed and it may still be loading: adopted, never doubled.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.socket = self.path / "store.sock"
        self._lock: int | None = None

    @property
    def url(self) -> str:
        return "unix://" + quote(str(self.socket))

    def is_at(self, path: str) -> bool:
        return os.path.samefile(path, self.path)

    def claim(self) -> None:
        """See that the directory can really be written, and take the server's lock.

        Raises `StartupRefused` ``data.unwritable`` or ``data.locked``.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path) as probe:
                probe.write(b"probe")
                probe.flush()
                os.fsync(probe.fileno())
            if len(os.fsencode(self.socket)) > _LONGEST_SOCKET_PATH:
                self.socket = _private_directory(self.path) / "store.sock"
            file = self.path / "lock"
            self._lock = _lock(file, os.O_RDWR | os.O_CREAT)
            if self._lock is not None:
                os.ftruncate(self._lock, 0)
                os.pwrite(self._lock, str(os.getpid()).encode(), 0)
                return
            owner = file.read_text().strip() or "unknown"
        except OSError as error:
            raise StartupRefused(
                "data.unwritable",
                f"The data directory {self.path} cannot be written: {error.strerror or error}.",
                "Make it writable for this user, or choose another one with OVERTURE_DATA_DIR.",
            ) from error
        raise StartupRefused(
            "data.locked",
            f"Another server (pid {owner}) already uses the data directory {self.path}.",
            f"Stop it, choose another OVERTURE_DATA_DIR, or share its store with OVERTURE_REDIS_URL={self.url}.",
        )

    def release(self) -> None:
        """Give the directory back. A store that still lives then is there for the next server to adopt."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def lock_store(self) -> list[int] | None:
        """The store's lock as descriptors to close, or None while a store lives here."""
        file = _lock(self.path / "store.lock", os.O_RDWR | os.O_CREAT)
        if file is None:
            return None
        try:
            directory = _lock(self.path, os.O_RDONLY)
        except OSError:  # some file systems lock files only
            return [file]
        if directory is None:
            os.close(file)
            return None
        return [file, directory]

    def remember(self, process: Process | None) -> None:
        """Write down where the store listens, and which process it is as soon as there is one."""
        told: dict[str, Any] = {"url": self.url}
        if process is not None:
            told |= {"pid": process.pid, "started": process.started}
        draft = self.path / "store.json.tmp"
        draft.write_text(json.dumps(told) + "\n")
        draft.replace(self.path / "store.json")

    def recall(self) -> Process | None:
        """The process that was written down, which may be long gone, None if none was.

        The store listens where it was told to then, whatever the temporary directory is now: ``socket`` follows.
        """
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            told: dict[str, Any] = json.loads((self.path / "store.json").read_text())
            self.socket = Path(unquote(urlsplit(str(told["url"])).path))
            return Process(int(told["pid"]), str(told["started"]))
        return None

    def forget(self) -> None:
        """The store is gone for good."""
        (self.path / "store.json").unlink(missing_ok=True)
        if self.socket.parent != self.path:
            with contextlib.suppress(OSError):
                self.socket.parent.rmdir()


def _lock(path: Path, how: int) -> int | None:
    """Take the lock and return its descriptor, or None when another process holds it."""
    descriptor = os.open(path, how | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
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
