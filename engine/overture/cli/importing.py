"""`overture import`: the rows of a CSV file posted as facts over HTTP, as any app would, from where it stopped."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from overture.cli.imports import ready
from overture.cli.imports.mapping import MappingOf, Rows, load
from overture.cli.imports.place import Folder, Place
from overture.cli.imports.running import Checking, Send, Tally, changed, run
from overture.cli.imports.table import Encoding, Table
from overture.cli.posting import Poster, session
from overture.cli.terminal import Json, Url, connect, console
from overture.model import Refused

DONE, SOME_REFUSED = 0, 1
TOLD = 5.0  # seconds between lines of progress
Switch = Parameter(negative="")


@dataclass
class Chosen:
    """The mapping of an import: what it is called, and whether the header told it."""

    name: str
    mapping: MappingOf
    detected: bool = False


def import_file(
    file: Path,
    *,
    mapping: str = "",
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    suggest: Annotated[bool, Switch] = False,
    dry_run: Annotated[bool, Switch] = False,
    deliver: Annotated[bool, Switch] = False,
    encoding: Encoding | None = None,
    delimiter: str = "",
    url: Url = None,
    as_json: Json = False,
) -> int:
    """Import the rows of a CSV file as facts: contacts, lists, consents, or what happened.

    Exit code 1: done, and rows were refused; they stand in FILE.import/refused.csv.

    Parameters
    ----------
    mapping
        What the columns are: a YAML file, or a ready mapping by its name, such as hubspot-contacts.
    set_
        A constant of the mapping, as list=newsletter.
    suggest
        Only print a mapping to start from.
    dry_run
        Post nothing: show the first facts, and count what would be refused.
    deliver
        Send the messages that the rules decide; without it the facts are history, and nothing is sent.
    encoding
        Of the file; by default as its first bytes say, else UTF-8.
    delimiter
        Between cells, tab for a tab; by default as the first lines say.
    """
    with Table(file, encoding or "", _delimiter(delimiter)) as table:
        if suggest:
            print(
                ready.text(mapping) if mapping in ready.names() else ready.suggest(table.header, table.rows()), end=""
            )
            return DONE
        chosen = _choose(file, table, mapping, set_ or [])
        told = Console(stderr=True, quiet=True) if as_json else console
        content = table.content()
        rows = Rows(chosen.mapping, table.header, f"import:{content}")
        how = ", told by its columns" if chosen.detected else ""
        told.print(f"{file}: mapping {chosen.name}{how}", markup=False)
        if rows.missing:
            told.print(f"  not among the columns: {', '.join(rows.missing)}", markup=False)
        if dry_run:
            check, place = Checking(), Place({})
            tally = _run(table, rows, check, place, None, told)
            facts = [json.loads(fact) for fact in check.shown]
            _report(file, chosen, place, tally, None, told, as_json=as_json, facts=facts)
            return SOME_REFUSED if place.refused else DONE
        with connect(url) as client:
            server, key = client.url, client.key("write")
        of = {
            "content": content,
            "mapping": _digest(msgspec.json.encode(chosen.mapping.model_dump(mode="json"), order="sorted")),
            "server": server,
            "encoding": table.encoding,
            "delimiter": table.delimiter,
            "deliver": str(deliver),
        }
        folder = Folder(file, of)
        try:
            place = folder.place
            if place.done:
                told.print(f"  imported before; remove {folder.path} to post it again", markup=False)
                tally = Tally()
            else:
                if folder.resumed:
                    told.print(f"  goes on behind line {place.line}", markup=False)
                tally = _run(table, rows, (server, key, deliver), place, folder, told)
                if table.content() != content:
                    raise changed(place)
                place.done = True
                folder.reached()
            _report(file, chosen, place, tally, folder, told, as_json=as_json, facts=None)
        finally:
            folder.close()
    return SOME_REFUSED if place.refused else DONE


def _choose(file: Path, table: Table, mapping: str, constants: list[str]) -> Chosen:
    given: dict[str, str] = {}
    for each in constants:
        name, equals, value = each.partition("=")
        if not (name and equals):
            raise Refused("import.constant", f"{each!r} sets nothing.", "Write --set name=value.")
        given[name] = value
    names = ready.names()
    if mapping in names:
        return Chosen(mapping, load(ready.text(mapping), mapping, given))
    if mapping:
        try:
            text = Path(mapping).read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            hint = f"Ready mappings: {', '.join(names)}."
            raise Refused("import.mapping", f"There is no mapping {mapping} that can be read.", hint) from None
        return Chosen(mapping, load(text, mapping, given))
    found = ready.detect(table.header)
    if len(found) == 1:
        return Chosen(found[0], load(ready.text(found[0]), found[0], given), detected=True)
    which = f"could be {' or '.join(found)}" if found else "are not those of an export that is known here"
    raise Refused(
        "import.unknown",
        f"What the columns of {file} mean must be said; they {which}. It has: {', '.join(table.header)}.",
        f"overture import {file} --suggest > mapping.yaml makes a mapping to start from; pass it with --mapping.",
    )


def _delimiter(given: str) -> str:
    mark = {"tab": "\t", "\\t": "\t"}.get(given, given)
    if len(mark) > 1 or mark in ('"', "\n", "\r"):
        raise Refused("import.delimiter", f"{given!r} cannot stand between cells.", "One character, or tab.")
    return mark


def _digest(text: bytes) -> str:
    return blake2b(text, digest_size=8).hexdigest()


def _run(
    table: Table,
    rows: Rows,
    to: Checking | tuple[str, str, bool],
    place: Place,
    folder: Folder | None,
    told: Console,
) -> Tally:
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rows]:,} rows"),
        console=told,
        disable=not told.is_terminal,
    ) as bar:
        task = bar.add_task("importing", total=table.size, rows=place.rows)
        last = time.monotonic()

        def progress() -> None:
            nonlocal last
            bar.update(task, completed=table.at, rows=place.rows)
            if not told.is_terminal and time.monotonic() - last >= TOLD:
                last = time.monotonic()
                told.print(f"  {place.rows:,} rows, {100 * table.at // max(table.size, 1)} %")

        async def all() -> Tally:
            if isinstance(to, Checking):
                return await run(table, rows, to, place, folder, progress)
            server, key, deliver = to
            async with session() as http:
                send: Send = Poster(http, server, key, deliver=deliver).post
                return await run(table, rows, send, place, folder, progress)

        return asyncio.run(all())


def _report(
    file: Path,
    chosen: Chosen,
    place: Place,
    tally: Tally,
    folder: Folder | None,
    told: Console,
    *,
    as_json: bool,
    facts: list[Any] | None,
) -> None:
    """``facts``: the first of a dry run."""
    report = str(folder.report) if folder is not None and place.refused else ""
    if as_json:
        counts = {n: getattr(place, n) for n in ("rows", "facts", "accepted", "duplicates", "refused", "skipped")}
        summary: dict[str, Any] = {"file": str(file), "mapping": chosen.name, "detected": chosen.detected, **counts}
        why = [
            {"code": c, "count": n, "first_line": tally.first[c], "message": tally.said[c]}
            for c, n in tally.reasons.most_common()
        ]
        print(json.dumps(summary | {"report": report, "reasons": why} | ({} if facts is None else {"first": facts})))
        return
    for fact in facts or []:
        told.print(json.dumps(fact, ensure_ascii=False, indent=2), markup=False)
    done = "would be taken" if folder is None else "accepted"
    told.print(
        f"{place.rows:,} rows, {place.facts:,} facts: {place.accepted:,} {done}, {place.duplicates:,} duplicates; "
        f"{place.refused:,} rows refused, {place.skipped:,} skipped"
    )
    for code, count in tally.reasons.most_common(10):
        told.print(f"  {count:,} × {code}, first in line {tally.first[code]}: {tally.said[code]}", markup=False)
    if report:
        told.print(f"  refused rows: {report}", markup=False)
