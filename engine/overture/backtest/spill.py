"""What a backtest cannot keep in memory: a file of its own, gone when it ends."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

V = TypeVar("V", bound=msgspec.Struct)

ROOM = 24 << 20  # bytes of values at hand, as encoded; as objects they are about ten times that
SAMPLE = 64  # a value is weighed again once in so many look-ups
NEW = 512  # bytes that a value counts for until it is weighed

_encode = msgspec.msgpack.Encoder().encode


class Spill:
    """The file, and the ``room`` in memory that each shelf has. Nothing outlives the process, so nothing is synced."""

    def __init__(self, path: Path, room: int = ROOM) -> None:
        self.room = room
        self.db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -16384"):
            self.db.execute(f"PRAGMA {pragma}")
        self.db.execute("BEGIN")

    def close(self) -> None:
        self.db.close()


class Shelf(Generic[V]):
    """Values by name: those used last are at hand, the others in the file. A value may be changed while at hand,
    until the next call."""

    def __init__(self, spill: Spill, table: str, kind: type[V]) -> None:
        self._db = spill.db
        self._table = table
        self._decode = msgspec.msgpack.Decoder(kind).decode
        self._room = spill.room
        self._held: dict[str, V] = {}
        self._weights: dict[str, int] = {}
        self._weight = 0
        self._calls = 0
        self._filed = 0
        self._db.execute(f"CREATE TABLE {table} (name TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")

    def get(self, name: str) -> V | None:
        value = self._held.pop(name, None)
        if value is None:
            return self._fetch(name) if self._filed else None
        self._held[name] = value
        self._calls += 1
        if self._calls % SAMPLE == 0:
            self._weigh(name, len(_encode(value)))
        return value

    def put(self, name: str, value: V) -> None:
        """Add a value; there is none of that name."""
        self._held[name] = value
        self._weigh(name, NEW)

    def pop(self, name: str) -> V | None:
        """The value, which is no longer here."""
        value = self.get(name)
        if value is not None:
            del self._held[name]
            self._weight -= self._weights.pop(name)
        return value

    def drain(self) -> Iterator[tuple[str, V]]:
        """Everything, in the order of the names; afterwards there is nothing here."""
        if not self._filed:
            held, self._held = self._held, {}
            self._weights.clear()
            self._weight = 0
            for name in sorted(held):
                yield name, held.pop(name)
            return
        self._file(len(self._held))
        for name, blob in self._db.execute(f"SELECT name, value FROM {self._table} ORDER BY name"):
            yield name, self._decode(blob)
        self._db.execute(f"DELETE FROM {self._table}")
        self._filed = 0

    def _fetch(self, name: str) -> V | None:
        row = self._db.execute(f"SELECT value FROM {self._table} WHERE name = ?", (name,)).fetchone()
        if row is None:
            return None
        self._db.execute(f"DELETE FROM {self._table} WHERE name = ?", (name,))
        self._filed -= 1
        value = self._held[name] = self._decode(row[0])
        self._weigh(name, len(row[0]))
        return value

    def _weigh(self, name: str, weight: int) -> None:
        self._weight += weight - self._weights.get(name, 0)
        self._weights[name] = weight
        if self._weight > self._room and len(self._held) > 1:
            self._file((len(self._held) + 3) // 4, keep=name)

    def _file(self, n: int, keep: str = "") -> None:
        """Put those used longest ago into the file."""
        names = [name for name, _ in zip(self._held, range(n), strict=False) if name != keep]
        rows = [(name, _encode(self._held.pop(name))) for name in names]
        self._db.executemany(f"INSERT INTO {self._table} VALUES (?, ?)", rows)
        self._filed += len(rows)
        for name in names:
            self._weight -= self._weights.pop(name)


class Backlog:
    """Blobs by name, in the order in which they came."""

    def __init__(self, spill: Spill) -> None:
        self._db = spill.db
        self._db.execute("CREATE TABLE backlog (n INTEGER PRIMARY KEY, name TEXT, version INTEGER, fact BLOB)")
        self._db.execute("CREATE INDEX backlog_name ON backlog (name, n)")

    def add(self, name: str, version: int, fact: bytes) -> None:
        self._db.execute("INSERT INTO backlog (name, version, fact) VALUES (?, ?, ?)", (name, version, fact))

    def first(self, name: str, limit: int) -> list[tuple[int, int, bytes]]:
        """The earliest of a name as (number, version, fact)."""
        sql = "SELECT n, version, fact FROM backlog WHERE name = ? ORDER BY n LIMIT ?"
        return self._db.execute(sql, (name, limit)).fetchall()

    def done(self, name: str, n: int) -> None:
        """Forget those of a name up to and including number ``n``."""
        self._db.execute("DELETE FROM backlog WHERE name = ? AND n <= ?", (name, n))
