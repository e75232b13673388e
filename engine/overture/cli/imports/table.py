"""A CSV file row by row, in constant memory: a row that cannot be read costs its own line, and none behind it."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter, deque
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple, Self

from overture.model import Refused

Encoding = Literal["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"]
DELIMITERS = ",;\t|"
SAMPLE = 64 * 1024  # bytes from which encoding and delimiter are told
LONGEST = 1024 * 1024  # characters of one row; more are not kept in memory

# Lone surrogates: no decoder makes them, so nothing in the file can be taken for one of these marks.
_UNDECODED, _CUT = "\udcff", "\udcfe"
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return _UNDECODED, error.end


codecs.register_error("overture.mark", _mark)
csv.field_size_limit(2 * LONGEST)  # of all readers: a cell is bounded by its row here


class Wrong(NamedTuple):
    """Why a row cannot be imported."""

    code: str
    message: str


class Row(NamedTuple):
    """``line``: where it begins, from 1; ``cells``: as many as the header has, or what is there of a wrong one."""

    line: int
    cells: list[str]
    wrong: Wrong | None = None


class Table:
    """An open CSV file. ``header``: the names of its columns; ``at``: bytes read so far, of ``size``."""

    def __init__(self, path: Path, encoding: str = "", delimiter: str = "") -> None:
        """Raises `Refused` (``import.file``, ``import.encoding``) where there is nothing to begin with."""
        self._path = path
        try:
            self._raw = path.open("rb")
            self._stat = self._seen()
            self.size = path.stat().st_size
            if not path.is_file():
                raise OSError("it is no file of its own, which can be read twice")
        except OSError as error:
            raise Refused("import.file", f"{path} cannot be read: {error.strerror or error}.") from error
        sample = self._raw.read(SAMPLE)
        self._raw.seek(0)
        self.encoding = encoding or _encoding(sample, path)
        codec = "utf-8-sig" if self.encoding == "utf-8" else self.encoding
        text = io.TextIOWrapper(self._raw, codec, errors="overture.mark", newline="")
        self.delimiter = delimiter or _delimiter(sample.decode(codec, "replace"))
        self._lines = _Lines(text, self.delimiter)
        self.header: list[str] = []
        first = next(self._records(), None)
        if first is None or first.wrong or not any(first.cells):
            raise Refused("import.file", f"{path} has no header.", "The first line names the columns.")
        self.header = [name.strip() for name in first.cells]

    @property
    def at(self) -> int:
        return self._raw.raw.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._raw.close()

    def content(self) -> str:
        """A digest of all of the file as it is now. Raises `Refused` ``import.file``."""
        whole = blake2b(digest_size=8)
        try:
            with self._path.open("rb") as content:
                while part := content.read(LONGEST):
                    whole.update(part)
        except OSError as error:
            raise Refused("import.file", f"{self._path} cannot be read: {error.strerror}.") from error
        return whole.hexdigest()

    def touched(self) -> bool:
        """Whether something was written to the file since it was opened, or another one stands in its place."""
        return self._seen() != self._stat

    def _seen(self) -> tuple[int, ...]:
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return ()
        return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns

    def rows(self) -> Iterator[Row]:
        """Those below the header that are not blank."""
        return (row for row in self._records() if row.wrong or any(cell and not cell.isspace() for cell in row.cells))

    def _records(self) -> Iterator[Row]:
        lines = self._lines
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        while True:
            lines.taken.clear()
            line = lines.number + 1
            try:
                cells = next(reader)
                wrong = self._wrong(cells)
            except StopIteration:
                return
            except csv.Error as error:
                # What a quote that never closes would take along are rows of their own: only its own line is wrong.
                cells = [lines.taken[0].rstrip("\r\n")]
                wrong = Wrong("import.row", f"The line cannot be read: {error}.")
                reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
            yield Row(line, cells, wrong)

    def _wrong(self, cells: list[str]) -> Wrong | None:
        for each in self._lines.taken:
            if _UNDECODED in each:
                return Wrong("import.encoding", f"The line is not {self.encoding}.")
            if _CUT in each:
                return Wrong("import.row", f"The row is longer than {LONGEST} characters.")
        if cells and self.header and len(cells) != len(self.header):
            return Wrong("import.cells", f"The row has {len(cells)} cells, the header {len(self.header)}.")
        return None


class _Lines:
    """The lines of a file for a reader of rows. ``taken``: those of its row, to be cleared before the next one. A row
    gets more than its first line only where the quotes in them close, within `LONGEST` characters.

    Each line is looked at once to see that, however many rows in turn ask: what a line does to a quoted cell that it
    begins in does not depend on the row.
    """

    def __init__(self, file: io.TextIOWrapper, delimiter: str) -> None:
        self.taken: list[str] = []
        self.number = 0
        self._file = file
        self._delimiter = delimiter
        self._ahead = deque[str]()  # read, not taken
        self._inside = 0  # of those, from the first: after which a quoted cell that began before is still open
        self._size = 0  # characters of these
        self._closes: bool | None = None  # whether it is properly closed in the one behind these, where that is known

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        if len(self.taken) == 1 and not self._closed():
            raise StopIteration
        if not self._ahead:
            line = self._read()
        else:
            line = self._ahead.popleft()
            if self._inside:
                self._inside -= 1
                self._size -= len(line)
            else:
                self._closes = None
        if not line:
            raise StopIteration
        self.taken.append(line)
        self.number += 1
        return line

    def _closed(self) -> bool:
        """Whether the quoted cell closes that is open after the first line."""
        while self._closes is None:
            if self._inside == len(self._ahead):
                if not (line := self._read()):
                    return False
                self._ahead.append(line)
            line = self._ahead[self._inside]
            if len(self.taken[0]) + self._size + len(line) > LONGEST:
                return False
            self._closes = self._closing(line)
            if self._closes is None:
                self._inside += 1
                self._size += len(line)
        return self._closes

    def _closing(self, line: str) -> bool | None:
        """None: a line that begins in a quoted cell ends in one."""
        if '"' not in line:
            return None
        given = iter(['"' + line, '"'])
        try:
            next(csv.reader(given, delimiter=self._delimiter, strict=True))
        except csv.Error:
            return False
        return True if next(given, None) else None

    def _read(self) -> str:
        line = self._file.readline(LONGEST)
        if len(line) >= LONGEST and line[-1] not in "\r\n":
            while (more := self._file.readline(LONGEST)) and more[-1] not in "\r\n":
                pass
            line += _CUT
        return line


def _encoding(sample: bytes, path: Path) -> str:
    for bom, name in _BOMS.items():
        if sample.startswith(bom):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError as error:
        line = sample[: error.start].count(b"\n") + 1
        raise Refused(
            "import.encoding",
            f"{path} is not UTF-8 (line {line}).",
            "Say what it is, as --encoding cp1252; with --encoding utf-8 such lines are refused and the rest is taken.",
        ) from None
    return "utf-8"


def _delimiter(sample: str) -> str:
    """The one by which most of the first lines have as many cells as the first, and that is more than one."""
    whole = sample[: sample.rfind("\n") + 1] or sample
    best, found = (0, 0), ","
    for mark in DELIMITERS:
        try:
            rows = [row for row in csv.reader(io.StringIO(whole, newline=""), delimiter=mark) if row]
        except csv.Error:
            continue
        if not rows or len(rows[0]) < 2:
            continue
        alike = Counter(map(len, rows))[len(rows[0])]
        if (score := (100 * alike // len(rows), len(rows[0]))) > best:
            best, found = score, mark
    return found
