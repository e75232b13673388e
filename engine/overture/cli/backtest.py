"""`overture backtest`: ask the server what rulesets would have done, wait with a progress bar, show the difference."""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from overture.cli.client import Client
from overture.cli.documents import Deployable
from overture.model import Refused

PAUSE = 0.25  # seconds between two looks
SHOWN = 10  # contacts shown
_FAILED = ("failed", "rolled_back")


def backtest(
    client: Client, found: Sequence[Deployable], console: Console, *, since: str, until: str, baseline: str
) -> tuple[str, dict[str, Any]]:
    """The id of the backtest and its summary. Ctrl-C cancels it on the server too. Raises Refused."""
    text, where = _stream(found)
    job = client.backtest(found[0].name, text, where, since=since, until=until, baseline=baseline)
    try:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        ) as bar:
            task = bar.add_task("facts", total=None)
            while job["state"] in ("waiting", "running"):
                bar.update(task, total=job["progress"]["of"] or None, completed=job["progress"]["facts"])
                time.sleep(PAUSE)
                job = client.look_at_backtest(job["id"])
    except KeyboardInterrupt:
        client.remove_backtest(job["id"])
        raise
    if error := job["error"]:
        raise Refused(error["code"], error["message"], error["hint"])
    return job["id"], job["summary"]


def contacts(client: Client, id: str) -> Iterator[dict[str, Any]]:
    """All contacts that are told in detail."""
    cursor = ""
    while True:
        page = client.contacts_of_backtest(id, cursor)
        yield from page["items"]
        if page["next"] is None:
            return
        cursor = page["next"]


def write(file: Path, summary: dict[str, Any], details: Iterator[dict[str, Any]]) -> None:
    """One JSON object a line: the summary, then each contact. The same backtest writes the same file."""
    try:
        with file.open("w", encoding="utf-8") as out:
            for line in (summary, *details):
                out.write(json.dumps(line, ensure_ascii=False, sort_keys=True) + "\n")
    except OSError as error:
        raise Refused("backtest.unwritable", f"{file} cannot be written: {error.strerror}.") from error


def show(summary: dict[str, Any], details: Iterator[dict[str, Any]], console: Console) -> None:
    """The sums that differ, and the first contacts."""
    facts, there = summary["facts"], summary["contacts"]
    period = f"{summary['period']['since']} to {summary['period']['until']}"
    console.print(
        f"{facts['compared']:,} facts compared, {period}: "
        f"{there['changed']:,} of {there['recorded']:,} contacts differ",
        markup=False,
    )
    if facts["missing_entries"]:
        console.print(f"{facts['missing_entries']:,} log entries are not in the archive: this is not the whole past")
    for name in _FAILED:
        if any(facts[name].values()):
            console.print(f"facts {name.replace('_', ' ')}: {_pair(facts[name])}")
    table = Table("", "baseline", "candidate", "contacts that differ")
    for row in _rows(summary):
        table.add_row(*row)
    if table.row_count:
        console.print(table)
    for _, detail in zip(range(SHOWN), details, strict=False):
        console.print(f"  {detail['contact']}: {'; '.join(_differences(detail))}", markup=False)
    if there["changed"] > SHOWN:
        console.print(f"  … and {there['changed'] - SHOWN:,} more", markup=False)


def _rows(summary: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for message in summary["messages"]:
        if any(message["only"].values()):
            reason = f" ({message['reason']})" if message["reason"] else ""
            yield _row(f"message {message['template']}{reason}", message, _gains(message["only_contacts"]))
    for code in summary["codes"]:
        if any(code["only"].values()):
            yield _row(f"code {code['kind']}", code, _gains(code["only_contacts"]))
    for name, score in summary["scores"].items():
        if score["higher"] or score["lower"]:
            yield _row(f"score {name}, sum", score, f"{score['higher']:,} higher, {score['lower']:,} lower")
    for kind in ("segment", "list"):
        for name, moved in summary[f"{kind}s"].items():
            if moved["joined"] or moved["left"]:
                yield _row(f"{kind} {name}", moved, f"{moved['joined']:,} more, {moved['left']:,} fewer")
    for name, trait in summary["traits"].items():
        yield f"trait {name}", "", "", f"{trait['changed']:,}"
    for rule, fired in summary["rules"].items():
        if fired["baseline"] != fired["candidate"]:
            yield _row(f"rule {rule}, fired", fired, "")


def _row(what: str, sides: dict[str, Any], contacts: str) -> tuple[str, str, str, str]:
    return what, f"{sides['baseline']:,}", f"{sides['candidate']:,}", contacts


def _gains(only: dict[str, int]) -> str:
    return f"{only['candidate']:,} more, {only['baseline']:,} fewer"


def _differences(detail: dict[str, Any]) -> Iterator[str]:
    for kind in ("scores", "segments", "lists", "traits"):
        for name, sides in detail[kind].items():
            yield f"{kind[:-1]} {name} {sides['baseline']} → {sides['candidate']}"
    for kind, name in (("messages", "template"), ("codes", "kind")):
        for one in detail[kind]:
            reason = f" ({one['reason']})" if one.get("reason") else ""
            yield f"{kind[:-1]} {one[name]}{reason} only by the {one['side']} at {one['at']}"
    if detail["omitted"]:
        yield f"{detail['omitted']:,} more"


def _pair(sides: dict[str, int]) -> str:
    return f"{sides['baseline']:,} by the baseline, {sides['candidate']:,} by the candidate"


def _stream(found: Sequence[Deployable]) -> tuple[str, Any]:
    """The documents as one stream, and where each of its lines stands."""
    texts = [each.source.whole() for each in found]
    if len(texts) == 1:
        return texts[0], found[0].source.where
    texts = [text if text.endswith("\n") else f"{text}\n" for text in texts]
    starts = [0]
    for text in texts:
        starts.append(starts[-1] + text.count("\n") + 1)

    def where(line: int) -> str:
        n = min(bisect_right(starts, line - 1), len(texts)) - 1
        return found[n].source.where(line - starts[n])

    return "---\n".join(texts), where
