"""The import itself: batches of rows made into facts and posted in turn, with the place that each reaches."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import dropwhile
from typing import Any

import msgspec

from overture.cli.imports.mapping import Rows
from overture.cli.imports.place import Folder, Place
from overture.cli.imports.table import Row, Table, Wrong
from overture.cli.imports.values import Unfit
from overture.intake import Caps, parse
from overture.model import Refused, clock

FACTS, BYTES = 2_000, 4 * 1024 * 1024  # of a batch, about
ROWS = 5_000  # after which a batch goes, however few facts they made
SHOWN = 3  # facts of a dry run

_NOTHING: dict[str, Any] = {"accepted": 0, "duplicates": 0, "rejected": []}

Send = Callable[[list[bytes]], Awaitable[dict[str, Any]]]


@dataclass
class Batch:
    """``whose[i]`` is the row of ``facts[i]``; ``wrong`` the rows of which no fact could be made, with the reason."""

    facts: list[bytes] = field(default_factory=list[bytes])
    whose: list[Row] = field(default_factory=list[Row])
    wrong: list[tuple[Row, Wrong]] = field(default_factory=list[tuple[Row, Wrong]])
    rows: int = 0
    skipped: int = 0
    line: int = 0


@dataclass
class Tally:
    """What was refused, by code: how often, and line and sentence of the first."""

    reasons: Counter[str] = field(default_factory=Counter[str])
    first: dict[str, int] = field(default_factory=dict[str, int])
    said: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, line: int, wrong: Wrong) -> None:
        self.reasons[wrong.code] += 1
        self.first.setdefault(wrong.code, line)
        self.said.setdefault(wrong.code, wrong.message)


async def run(
    table: Table, rows: Rows, send: Send, place: Place, folder: Folder | None, progress: Callable[[], None]
) -> Tally:
    """Everything behind ``place``, which is kept up to date; without a ``folder`` nothing is written.

    Raises `Refused` ``import.changed`` before anything is posted that may have been read after a change of the file.
    """
    tally = Tally()
    waiting = dropwhile(lambda row: row.line <= place.line, table.rows())
    batch = _next(waiting, rows)
    if table.touched():
        raise changed(place)
    if folder is not None:
        folder.begin(table.header)
    while batch.rows:
        # The next batch is made while this one is under way; one request at a time keeps the order of the file.
        sending = asyncio.ensure_future(send(batch.facts)) if batch.facts else None
        try:
            following = await asyncio.to_thread(_next, waiting, rows)
            answer = await sending if sending is not None else _NOTHING
        finally:
            if sending is not None:
                sending.cancel()
        bad = batch.wrong + [(batch.whose[r["index"]], Wrong(r["code"], r["message"])) for r in answer["rejected"]]
        bad.sort(key=lambda each: each[0].line)
        for row, wrong in bad:
            tally.add(row.line, wrong)
        place.line = batch.line
        place.rows += batch.rows
        place.skipped += batch.skipped
        place.refused += len({row.line for row, _ in bad})
        place.facts += len(batch.facts)
        place.accepted += answer["accepted"]
        place.duplicates += answer["duplicates"]
        if folder is not None:
            folder.refuse([[row.line, *wrong, *row.cells] for row, wrong in bad])
            folder.reached()
        progress()
        if table.touched():
            raise changed(place)
        batch = following
    return tally


def changed(place: Place) -> Refused:
    """The file is no longer what it was when its import began."""
    if not place.rows:
        return Refused("import.changed", "The file has changed meanwhile; nothing is posted.", "Import it again.")
    return Refused(
        "import.changed",
        f"The file has changed meanwhile; {place.rows} rows are posted, and would count twice with other content.",
        "Put back what it held and run this again: it goes on where it stopped.",
    )


def _next(waiting: Iterator[Row], rows: Rows) -> Batch:
    batch, size = Batch(), 0
    for row in waiting:
        batch.rows += 1
        batch.line = row.line
        if row.wrong is not None:
            batch.wrong.append((row, row.wrong))
        else:
            try:
                made = rows.make(row.line, row.cells)
            except Unfit as unfit:
                batch.wrong.append((row, Wrong("import.value", str(unfit))))
            else:
                batch.skipped += not made
                for fact in made:
                    batch.facts.append(msgspec.json.encode(fact))
                    batch.whose.append(row)
                    size += len(batch.facts[-1])
        if len(batch.facts) >= FACTS or size >= BYTES or batch.rows >= ROWS:
            break
    return batch


class Checking:
    """Stands where the server does in a dry run: its own rules for facts, and nothing kept but the first of them."""

    def __init__(self) -> None:
        self.shown: list[bytes] = []

    async def __call__(self, facts: list[bytes]) -> dict[str, Any]:
        parsed = parse(b"\n".join(facts), clock.now(), Caps(), "", "application/x-ndjson")
        self.shown += [facts[n] for n in parsed.indexes[: SHOWN - len(self.shown)]]
        rejected = [{"index": r.index, "code": r.code, "message": r.message} for r in parsed.rejected]
        return {"accepted": len(parsed.drafts), "duplicates": 0, "rejected": rejected}
