"""Where an import is: a folder beside the file with the place that was reached and the rows that were refused."""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec

from overture.model import Refused


class Place(msgspec.Struct):
    """``of``: which file, mapping and server. ``line``: the last one whose facts are answered for; ``report``: bytes of
    the report that belong to it. The rest are counts so far.
    """

    of: list[str]
    line: int = 1
    report: int = 0
    done: bool = False
    rows: int = 0
    skipped: int = 0
    refused: int = 0  # rows
    facts: int = 0
    accepted: int = 0
    duplicates: int = 0


class Folder:
    """``FILE.import``, held by one process. ``place`` is what is on disk."""

    def __init__(self, file: Path, of: list[str], header: Sequence[str]) -> None:
        """Goes on where the same import stopped. Raises `Refused` ``import.running``, ``file.unwritable``."""
        self.path = file.with_name(file.name + ".import")
        self.report = self.path / "refused.csv"
        self._place = self.path / "place.json"
        try:
            self.path.mkdir(exist_ok=True)
            self._lock = (self.path / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("import.running", f"{file} is being imported already.", "Wait for the other one.") from None
        except OSError as error:
            raise self._unwritable(error) from error
        self.place = self._found(of)
        self.resumed = self.place.line > 1 and not self.place.done
        try:
            self._rows: IO[bytes] = self.report.open("r+b" if self.place.report and self.report.exists() else "w+b")
            self._rows.truncate(self.place.report)
            self._rows.seek(0, os.SEEK_END)
        except OSError as error:
            raise self._unwritable(error) from error
        if self._rows.tell() == 0:
            self.refuse([["line", "code", "reason", *header]])

    def refuse(self, rows: Sequence[Sequence[object]]) -> None:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        self._rows.write(text.getvalue().encode("utf-8", "replace"))

    def reached(self) -> None:
        """The place is on disk, and what it says of the report is. Raises `Refused` ``file.unwritable``."""
        try:
            self._rows.flush()
            os.fsync(self._rows.fileno())
            self.place.report = self._rows.tell()
            new = self._place.with_suffix(".new")
            with new.open("wb") as file:
                file.write(msgspec.json.encode(self.place))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._place)
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        self._rows.close()
        self._lock.close()

    def _found(self, of: list[str]) -> Place:
        try:
            place = msgspec.json.decode(self._place.read_bytes(), type=Place)
        except (OSError, msgspec.DecodeError):
            return Place(of)
        return place if place.of == of else Place(of)

    def _unwritable(self, error: OSError) -> Refused:
        return Refused(
            "file.unwritable", f"{self.path} cannot be written: {error.strerror}.", "See its folder's rights."
        )
