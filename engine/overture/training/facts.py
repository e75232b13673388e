"""Recorded facts to learn from, a part of the contacts after the other: what is in memory is of one part.

The facts of a contact are all in one part, in the order in which they took effect.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec

from overture.intake import Caps, parse
from overture.model import Draft, Fact, Refused
from overture.model.ids import partition_of
from overture.state import archive
from overture.state.log import unpack

PARTS = 16
LINES = 500  # of a file, read at once

_pack = msgspec.msgpack.Encoder().encode
_LENGTH = 4
_NOT_A_CONTACT_S = frozenset({"$activate", "$program", "$erase"})


class Source(Protocol):
    """``parts`` of the contacts, and the facts of one of them, which can be read again."""

    parts: int

    def facts(self, part: int) -> Iterator[Fact]: ...


class Archived:
    """Everything decided and moved to the archive of a data directory, which happens within half a minute or so.

    Raises Refused ``train.no_facts`` where there is no archive.
    """

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / "archive"
        found = sorted(self._directory.glob("p[0-9][0-9][0-9]"))
        if not found:
            raise Refused(
                "train.no_facts",
                f"There is no archive of facts in {data_dir}.",
                "Name the data directory of a server, or a file of facts.",
            )
        self.parts = int(found[-1].name[1:]) + 1

    def facts(self, part: int) -> Iterator[Fact]:
        for _, blob in archive.entries(self._directory, part):
            for fact in unpack([b"f", blob]):
                if fact.contact and fact.type not in _NOT_A_CONTACT_S:
                    yield fact


class Spilled:
    """Facts as apps post them, put into files by contact. ``rejected``: those that a server would have refused."""

    def __init__(self, directory: Path) -> None:
        self.parts = PARTS
        self.rejected = 0
        self._paths = [directory / f"part-{n}" for n in range(PARTS)]

    def fill(self, posted: Iterable[bytes], now: int) -> None:
        """One JSON object each, oldest first; ``now`` (ms) is when they are read. Of one id the first counts."""
        with_each = [path.open("wb") for path in self._paths]
        lines: list[bytes] = []
        try:
            for line in posted:
                lines.append(line)
                if len(lines) == LINES:
                    self._put(lines, now, with_each)
                    lines = []
            self._put(lines, now, with_each)
        finally:
            for file in with_each:
                file.close()

    def facts(self, part: int) -> Iterator[Fact]:
        seen: set[tuple[str, str]] = set()
        with self._paths[part].open("rb") as file:
            while head := file.read(_LENGTH):
                fact = msgspec.msgpack.decode(file.read(int.from_bytes(head, "big")), type=Fact)
                if (key := (fact.contact, fact.id)) not in seen:
                    seen.add(key)
                    yield fact

    def _put(self, lines: list[bytes], now: int, files: Sequence[IO[bytes]]) -> None:
        if not lines:
            return
        parsed = parse(b"\n".join(lines), now, Caps(), "", "application/x-ndjson")
        self.rejected += len(parsed.rejected)
        for draft in parsed.drafts:
            fact = _fact(draft, now)
            blob = _pack(fact)
            files[partition_of(fact.contact, PARTS)].write(len(blob).to_bytes(_LENGTH, "big") + blob)


@contextmanager
def spilled(posted: Iterable[bytes], now: int) -> Generator[Spilled]:
    """Such facts in files that are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="overture-train-") as folder:
        found = Spilled(Path(folder))
        found.fill(posted, now)
        yield found


def lines_of(file: Path) -> Iterator[bytes]:
    """The lines of a file of facts. Raises Refused ``train.no_facts``."""
    try:
        with file.open("rb") as opened:
            yield from (line for line in opened if line.strip())
    except OSError as error:
        raise Refused("train.no_facts", f"{file} cannot be read: {error.strerror}.") from error


def _fact(draft: Draft, now: int) -> Fact:
    """As recorded history. Whoever was known by several identifiers is taken by the first: nothing is linked here."""
    at = now if draft.occurred_at is None else draft.occurred_at
    return Fact(draft.id, draft.type, _contact(draft.ids), at, now, draft.properties, draft.context, draft.ids, True)


def _contact(ids: dict[str, Any]) -> str:
    name, value = next(iter(sorted(ids.items(), key=lambda item: (item[0] != "user_id", item[0]))))
    return str(value) if name == "user_id" else f"{name}:{value}"
