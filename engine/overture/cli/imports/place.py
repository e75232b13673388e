"""Where an import is: a folder beside the file with the place that was reached and the rows that were refused."""

from __future__ import annotations

import csv
import fcntl
import io
import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

import msgspec

from overture.model import Refused


class Place(msgspec.Struct):
    """``of``: what is imported, by what and to where: digests and names to compare, that of ``content`` among them.
    ``line``: the last one whose facts are answered for; ``report``: bytes of the report that belong to it. The rest are
    counts so far.
    """

    of: dict[str, str]
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
    """``FILE.import``, held by one process, of one import. ``place`` is what is on disk."""

    _rows: IO[bytes]

    def __init__(self, file: Path, of: dict[str, str]) -> None:
        """Raises `Refused` ``import.running``, ``import.another``, ``file.unwritable``."""
        self.path = file.with_name(file.name + ".import")
        self.report = self.path / "refused.csv"
        self._file = file
        self._place = self.path / "place.json"
        with ExitStack() as opened:
            try:
                self.path.mkdir(exist_ok=True)
                lock = opened.enter_context((self.path / "lock").open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.place = self._found(of)
            except BlockingIOError:
                raise Refused(
                    "import.running", f"{file} is being imported already.", "Wait for the other one."
                ) from None
            except OSError as error:
                raise self._unwritable(error) from error
            self._open = opened.pop_all()
        self.resumed = self.place.line > 1 and not self.place.done

    def begin(self, header: Sequence[str]) -> None:
        """The place and the report are on disk: to be called before anything is posted. Raises `Refused`
        ``file.unwritable``.
        """
        try:
            if not self._place.exists():  # before the report, which would be one of nobody knows which import
                self._write()
            self._rows = self._open.enter_context(self.report.open("r+b" if self.report.exists() else "w+b"))
            # What the place does not know of is of a batch that was not answered for.
            self._rows.truncate(min(self.place.report, self._rows.seek(0, os.SEEK_END)))
            self._rows.seek(0, os.SEEK_END)
        except OSError as error:
            raise self._unwritable(error) from error
        if self._rows.tell() == 0:
            self.refuse([["line", "code", "reason", *header]])
        self.reached()

    def refuse(self, rows: Sequence[Sequence[object]]) -> None:
        """Raises `Refused` ``file.unwritable``."""
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        try:
            self._rows.write(text.getvalue().encode("utf-8", "replace"))
        except OSError as error:
            raise self._unwritable(error) from error

    def reached(self) -> None:
        """The place is on disk, and what it says of the report is. Raises `Refused` ``file.unwritable``."""
        try:
            self._rows.flush()
            os.fsync(self._rows.fileno())
            self.place.report = self._rows.tell()
            self._write()
        except OSError as error:
            raise self._unwritable(error) from error

    def _write(self) -> None:
        new = self._place.with_suffix(".new")
        with new.open("wb") as file:
            file.write(msgspec.json.encode(self.place))
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._place)

    def close(self) -> None:
        with suppress(OSError):  # of what the place does not know of
            self._open.close()

    def _found(self, of: dict[str, str]) -> Place:
        try:
            place = msgspec.json.decode(self._place.read_bytes(), type=Place)
        except FileNotFoundError:
            if self.report.exists():
                raise self._another(f"{self.report} is there, and nothing says of which import.") from None
            return Place(of)
        except msgspec.DecodeError:
            raise self._another(f"{self._place} does not say of which import it is.") from None
        if place.of == of:
            return place
        if place.of.get("content") != of["content"]:
            raise self._another(
                f"{self._file} was imported with other content, {place.rows} rows of it or more: what is in both would "
                "count twice.",
                "Import new rows from a file of their own. ",
            )
        if place.line == 1:  # no row is answered for, and its id would be the same
            return Place(of)
        others = " and ".join(name for name in of if place.of.get(name) != of[name])
        raise self._another(f"{self._file} was imported with another {others}.", "Import a copy of it. ")

    def _another(self, told: str, instead: str = "") -> Refused:
        hint = f"{instead}To post all of it, remove {self.path}, and with it its refused rows."
        return Refused("import.another", told, hint)

    def _unwritable(self, error: OSError) -> Refused:
        return Refused(
            "file.unwritable",
            f"{self.path} cannot be written: {error.strerror}.",
            "See its folder's rights, and the room on its disk.",
        )
