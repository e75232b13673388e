"""The archive: committed facts, in log order, in append-only compressed files; the log is trimmed behind it.

One directory a partition, one file for each time a process takes it: ``<epoch>-<first entry>-<pid>.ovz``. A file is a
sequence of frames: 4 bytes of length, big-endian, then a zstd frame (with checksum) of msgpack ``[[id, entry], …]``.
A frame is fsynced before the log is trimmed, so a kill in between writes it twice: readers go by entry id. A file is
written anew where somebody is erased (`rewrite`): whole, beside the old one, and put in its place.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
from collections.abc import Callable, Generator, Iterator
from itertools import chain
from pathlib import Path

import msgspec
import zstandard

FILE_BYTES = 64 << 20
_NAME = re.compile(r"\d+-\d+-\d+-\d+\.ovz")
_frames = msgspec.msgpack.Decoder(list[tuple[str, bytes]])


class ArchiveWriter:
    """Appends frames of one partition under one lease. Blocking: call it in a thread; `close` from any."""

    def __init__(self, directory: Path, partition: int, epoch: int) -> None:
        self._directory = directory / f"p{partition:03d}"
        self._epoch = epoch
        self._file: int | None = None
        self._size = 0
        self._lock = threading.Lock()  # a descriptor closed while it is written to may be another file's by then
        self._compress = zstandard.ZstdCompressor(level=3, write_checksum=True)

    def append(self, entries: list[tuple[str, bytes]]) -> int:
        """Write entries (id, value) durably; answers the bytes written. Raises OSError: then nothing is there."""
        frame = self._compress.compress(msgspec.msgpack.encode(entries))
        with self._lock:
            if self._file is None or self._size > FILE_BYTES:
                self._open(entries[0][0])
            assert self._file is not None
            data = len(frame).to_bytes(4, "big") + frame
            try:
                while data:
                    data = data[os.write(self._file, data) :]
                os.fsync(self._file)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, self._size)  # what follows a torn frame could not be read
                raise
            self._size += len(frame) + 4
            return len(frame) + 4

    def _open(self, first: str) -> None:
        self._close()
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / f"{self._epoch:010d}-{first}-{os.getpid()}.ovz"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._size = os.fstat(self._file).st_size
        _sync(self._directory)

    def close(self) -> None:
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def entries(directory: Path, partition: int) -> Iterator[tuple[str, bytes]]:
    """(entry id, value) of one partition in log order, each once. A torn last frame is left out: the log has it."""
    last = (0, 0)
    for path in _files(directory, partition):
        for id, blob in chain.from_iterable(_frames_of(path)):
            place = entry_order(id)
            if place > last:
                last = place
                yield id, blob


@contextlib.contextmanager
def held(directory: Path, partition: int) -> Generator[None]:
    """Hold one partition's files: who writes any does so inside, after a look whether the partition still is its own.

    What a process that slept writes late is so either there before somebody else looks, or not at all. Raises
    BlockingIOError while another process holds them.
    """
    path = directory / f"p{partition:03d}"
    path.mkdir(parents=True, exist_ok=True)
    file = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(file)


def rewrite(directory: Path, partition: int, change: Callable[[str, bytes], bytes]) -> int:
    """Have ``change(id, value)`` answer another value, or the same object; files with another one are written anew.

    Answers how many. Each is replaced in one move, so whoever reads meanwhile has the old one or the new one, and a
    kill leaves one of them. No writer may have any of them open. Blocking; raises OSError.
    """
    path = directory / f"p{partition:03d}"
    for left in path.glob("*.part"):
        left.unlink()
    rewritten = 0
    for file in _files(directory, partition):
        if any(change(id, blob) is not blob for id, blob in chain.from_iterable(_frames_of(file))):
            _replace(file, change)
            rewritten += 1
    return rewritten


def _replace(path: Path, change: Callable[[str, bytes], bytes]) -> None:
    part = path.with_name(f"{path.name}.part")
    compress = zstandard.ZstdCompressor(level=3, write_checksum=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        for entries in _frames_of(path):
            changed = [(id, change(id, blob)) for id, blob in entries]
            frame = compress.compress(msgspec.msgpack.encode(changed))
            file.write(len(frame).to_bytes(4, "big") + frame)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    _sync(path.parent)


def entry_order(id: str) -> tuple[int, int]:
    """A stream entry id as numbers, so that ids compare in log order."""
    ms, _, seq = id.partition("-")
    return int(ms), int(seq or 0)


def _place(path: Path) -> tuple[int, ...]:
    return tuple(map(int, path.stem.split("-")))


def _files(directory: Path, partition: int) -> list[Path]:
    files = (path for path in (directory / f"p{partition:03d}").glob("*.ovz") if _NAME.fullmatch(path.name))
    return sorted(files, key=_place)


def _frames_of(path: Path) -> Iterator[list[tuple[str, bytes]]]:
    expand = zstandard.ZstdDecompressor()
    with path.open("rb") as file:
        while head := file.read(4):
            frame = file.read(int.from_bytes(head, "big"))
            try:
                entries = _frames.decode(expand.decompress(frame))
            except (zstandard.ZstdError, msgspec.DecodeError):
                return
            yield entries


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
