"""The files of one backtest: what was asked, how far it is, what came of it.

A directory a job. Whoever works on it holds a lock on ``lock``, so that any process can tell a job under way from one
whose server vanished. ``summary.json`` comes last, whole and synced: a job is done exactly where it is there.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from pathlib import Path
from typing import Any, Literal

import msgspec

State = Literal["waiting", "running", "done", "failed"]

KEPT = 20  # jobs that have ended, the newest
KEPT_MS = 30 * 86_400_000
_ID = re.compile(r"bt-[0-9a-f]{8,40}")


class Request(msgspec.Struct, frozen=True):
    """What was asked: ``since`` and ``until`` as given, ``rulesets`` the candidates by name with their revisions."""

    id: str
    created_at: int
    rulesets: dict[str, str]
    version: int
    since: str
    until: str
    baseline: Literal["active", "recorded"]


class Progress(msgspec.Struct, frozen=True):
    """``facts`` of ``of`` have been replayed; 0 of 0 while they are still being counted."""

    facts: int = 0
    of: int = 0


class Failure(msgspec.Struct, frozen=True):
    """Why there is no answer, as an error code, one sentence and a hint."""

    code: str
    message: str
    hint: str = ""


class Job:
    """One job by its directory. Reading never raises for what is not there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.contacts = directory / "contacts.ndjson"
        self.spill = directory / "spill"

    @property
    def id(self) -> str:
        return self.directory.name

    def request(self) -> Request | None:
        return self._read("request.json", Request)

    def progress(self) -> Progress:
        return self._read("progress.json", Progress) or Progress()

    def summary(self) -> dict[str, Any] | None:
        return self._read("summary.json", dict[str, Any])

    def failure(self) -> Failure | None:
        return self._read("failure.json", Failure)

    def state(self) -> State:
        if (self.directory / "summary.json").exists():
            return "done"
        if (self.directory / "failure.json").exists() or not self._is_held():
            return "done" if (self.directory / "summary.json").exists() else "failed"
        return "running" if (self.directory / "progress.json").exists() else "waiting"

    def write(self, name: str, content: bytes) -> None:
        """Put a file in its place whole and synced."""
        part = self.directory / f"{name}.part"
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.directory / name)

    def tell(self, progress: Progress) -> None:
        """Say how far it is; not synced, as it is worth nothing after a crash."""
        part = self.directory / "progress.part"
        part.write_bytes(msgspec.json.encode(progress))
        part.replace(self.directory / "progress.json")

    def fail(self, code: str, message: str, hint: str = "") -> None:
        self.contacts.unlink(missing_ok=True)  # a full disk may be why, and has no room for the reason otherwise
        self.write("failure.json", msgspec.json.encode(Failure(code, message, hint)))

    def cancel(self) -> None:
        """Ask whoever works on it to stop."""
        (self.directory / "cancelled").touch()

    @property
    def cancelled(self) -> bool:
        return not self.directory.exists() or (self.directory / "cancelled").exists()

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)

    def _read(self, name: str, kind: Any) -> Any:
        try:
            return msgspec.json.decode((self.directory / name).read_bytes(), type=kind)
        except (OSError, msgspec.DecodeError):
            return None

    def _is_held(self) -> bool:
        try:
            with hold(self.directory / "lock", shared=True):
                return False
        except BlockingIOError:
            return True
        except OSError:
            return False


@contextlib.contextmanager
def hold(path: Path, *, shared: bool = False, wait: bool = False):
    """Hold a lock that ends with the process. Raises BlockingIOError where another holds it, unless it is to ``wait``;
    OSError where there is no such directory."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(file)


def find(directory: Path, id: str) -> Job | None:
    """The job of that id, None where there is none."""
    job = Job(directory / id)
    return job if _ID.fullmatch(id) and job.request() is not None else None


def prune(directory: Path, now: int) -> None:
    """Remove jobs that ended, but for the newest that are not old."""
    ended: list[tuple[int, Job]] = []
    for path in directory.glob("bt-*"):
        job = Job(path)
        request = job.request()
        if job.state() in ("done", "failed"):
            ended.append((request.created_at if request else 0, job))
    ended.sort(key=lambda one: (-one[0], one[1].id))
    for n, (created_at, job) in enumerate(ended):
        job.spill.unlink(missing_ok=True)  # left by a server that vanished
        if n >= KEPT or now - created_at > KEPT_MS:
            job.remove()
