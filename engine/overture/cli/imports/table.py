"""A CSV file row by row, in constant memory: a row that cannot be read costs its own line, and none behind it."""

from __future__ import annotations

import codecs
import csv
import io
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, Self

from overture.model import Refused

Encoding = Literal["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"]
DELIMITERS = ",;\t|"
SAMPLE = 64 * 1024  # bytes from which encoding and delimiter are told
LONGEST = 1024 * 1024  # characters of one line; more are not kept in memory

# Lone surrogates: no decoder makes them, so nothing in the file can be taken for one of these marks.
_UNDECODED, _CUT = "\udcff", "\udcfe"
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def _mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return _UNDECODED, error.end


codecs.register_error("overture.mark", _mark)


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
        try:
            self._raw = path.open("rb")
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
        self._lines = _Lines(text)
        self.delimiter = delimiter or _delimiter(sample.decode(codec, "replace"))
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
                cells, wrong = [], Wrong("import.row", f"The line cannot be read: {error}.")
            if wrong is not None:
                first, *rest = lines.taken
                if rest:  # a quote that is not closed takes others along: only its own line is wrong
                    lines.again(rest)
                    cells = []
                cells = cells or [first.rstrip("\r\n")]
                reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
            yield Row(line, cells, wrong)

    def _wrong(self, cells: list[str]) -> Wrong | None:
        for each in self._lines.taken:
            if _UNDECODED in each:
                return Wrong("import.encoding", f"The line is not {self.encoding}.")
            if _CUT in each:
                return Wrong("import.row", f"The line is longer than {LONGEST} characters.")
        if cells and self.header and len(cells) != len(self.header):
            return Wrong("import.cells", f"The row has {len(cells)} cells, the header {len(self.header)}.")
        return None


class _Lines:
    """The lines of a file, with those that a reader has ``taken`` since that was cleared, and a way back for them."""

    def __init__(self, file: io.TextIOWrapper) -> None:
        self.taken: list[str] = []
        self.number = 0
        self._file = file
        self._back = deque[str]()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else self._file.readline(LONGEST)
        if not line:
            raise StopIteration
        if len(line) >= LONGEST and line[-1] not in "\r\n":
            while (more := self._file.readline(LONGEST)) and more[-1] not in "\r\n":
                pass
            line += _CUT
        self.taken.append(line)
        self.number += 1
        return line

    def again(self, lines: list[str]) -> None:
        self._back.extendleft(reversed(lines))
        self.number -= len(lines)


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
