"""`overture train`: fit a model of a ruleset to recorded facts, and say how good it is on later ones."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.table import Table

from overture.cli.documents import read
from overture.cli.scripted import asking, checking
from overture.cli.terminal import Json, Url, connect, console, load_settings, loaded_plugins
from overture.model import Refused, clock
from overture.model.artefact import pack
from overture.model.clock import to_text

if TYPE_CHECKING:
    from overture.training.facts import Source
    from overture.training.measure import Interval, Measured
    from overture.training.report import Part, Report

HOUR = 3_600_000


def train(
    *files: Path,
    model: str = "",
    kind: Literal["boosting", "logistic"] = "boosting",
    facts: Path | None = None,
    dataset: str = "",
    split: str = "",
    until: str = "",
    against: str = "",
    seed: Annotated[int, Parameter(validator=Number(gte=0, lt=2**32))] = 0,
    out: Path | None = None,
    activate: Annotated[bool, Parameter(negative="")] = False,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Fit a model to recorded facts, test it on later ones, and print how good it is beside a plain rule.

    Parameters
    ----------
    files
        The ruleset that declares the model, and those that it goes with.
    model
        Its name, where there are several.
    kind
        Gradient boosted trees, or logistic regression.
    facts
        A file of facts as apps post them, one JSON object a line, oldest first. Else the archive in the data directory.
    dataset
        Instead of a file: a recorded data set, such as completejourney.
    split
        Where learning ends and the test begins: an instant, or a duration back from the end. Else the last quarter.
    until
        Where the test ends. Else with the record.
    against
        A plain rule to compare with, an expression over the contact: the higher, the likelier.
    seed
        Of what is drawn by chance. The same facts, options and seed make the same model.
    out
        Where to write the model.
    activate
        Have the server decide by it from now on.
    """
    from overture.backtest.period import bound
    from overture.training.run import Asked, train

    if not files:
        raise Refused("check.no_files", "There is no document to check.", "Name one or more YAML files.")
    ends = [bound(text, name) if text else None for text, name in ((split, "split"), (until, "until"))]
    asked = Asked([read(file) for file in files], model, kind, *ends, against=against, seed=seed)
    with _source(facts, dataset) as source, checking(loaded_plugins().pure()) as pure, asking() as ask:
        trained = train(asked, source, pure, ask)
    blob, report = pack(trained.artefact), trained.report
    if out is not None:
        _write(out, blob)
    active = None
    if activate:
        with connect(url) as client:
            active = client.put_artefact(report.model, blob)
    if as_json:
        print(json.dumps(msgspec.to_builtins(report) | ({} if active is None else {"active": active})))
        return
    show(report, console)
    if active is not None:
        console.print(f"{report.model} decides by {report.digest} from now on", markup=False)


def rfm(
    type: str,
    field: str,
    /,
    *,
    within: str = "365d",
    facts: Path | None = None,
    dataset: str = "",
    as_json: Json = False,
) -> None:
    """Find bounds for the scorer rfm in recorded facts: a fifth of the buyers in each grade.

    Parameters
    ----------
    type
        The type of fact that is a purchase.
    field
        The field that says what it was worth.
    within
        How far back from the end of the record purchases count: a duration, or an instant.
    facts
        A file of facts as apps post them, one JSON object a line. Else the archive in the data directory.
    dataset
        Instead of a file: a recorded data set, such as completejourney.
    """
    from overture.backtest.period import bound
    from overture.training.bounds import bounds

    since = bound(within, "within")
    with _source(facts, dataset) as source:
        found = bounds(source, type, field, since)
    if as_json:
        print(json.dumps(found._asdict()))
        return
    console.print(
        f"{found.buyers:,} contacts bought in the last {within}. Under `with` of the scorer rfm:", markup=False
    )
    console.print(f"  recency: {{trait: last_order_at, days: {found.days}}}", markup=False)
    console.print(f"  frequency: {{trait: orders, at_least: {found.orders}}}", markup=False)
    console.print(f"  monetary: {{trait: spent, at_least: {found.spent}}}", markup=False)


def show(report: Report, console: Console) -> None:
    """The report for people."""
    console.print(f"{report.model} {report.digest} ({report.kind}), within {report.within / HOUR:g} h", markup=False)
    for name, part in (("fitted to", report.fitted), ("calibrated on", report.held), ("tested on", report.tested)):
        console.print(f"  {name:13} {_part(part)}", markup=False)
    if report.failed:
        console.print(f"  {report.failed:,} facts could not be decided and are left out")
    table = Table("", "AUC", "ECE", "lift 10 %", "20 %")
    if report.against is not None:
        table.add_row("the rule", *_row(report.against.measured))
    table.add_row("the model", *_row(report.measured))
    console.print(table)
    if report.against is not None and report.measured.over is not None:
        over = _interval(report.measured.over, "+")
        console.print(f"The rule is {report.against.rule}; the model's AUC is beyond it by {over}", markup=False)
    table = Table("examples", "predicted", "observed", title="Calibration", title_justify="left")
    for each in report.measured.calibration:
        table.add_row(f"{each.examples:,}", f"{each.predicted:.1%}", f"{each.observed:.1%}")
    console.print(table)


def _row(measured: Measured) -> Iterator[str]:
    yield _interval(measured.auc)
    yield f"{measured.ece:.3f}"
    yield from (f"{lift:.2f}" for lift in measured.lift.values())


def _interval(found: Interval, sign: str = "") -> str:
    return f"{found.value:{sign}.3f} ({found.low:{sign}.3f} to {found.high:{sign}.3f})"


def _part(part: Part) -> str:
    return (
        f"{part.examples:,} examples of {part.contacts:,} contacts, {part.rate:.1%} with the outcome, "
        f"{to_text(part.since)[:10]} to {to_text(part.until)[:10]}"
    )


@contextmanager
def _source(facts: Path | None, dataset: str) -> Generator[Source]:
    """Raises Refused ``replay.unknown_dataset``, ``train.no_facts``."""
    from overture.cli.replay import DATASETS
    from overture.training.facts import Archived, lines_of, spilled

    if facts is not None and dataset:
        raise Refused("train.no_facts", "Facts come from a file or from a data set, not from both.")
    if dataset and dataset not in DATASETS:
        raise Refused("replay.unknown_dataset", f"There is no data set {dataset!r}.", f"Known: {', '.join(DATASETS)}.")
    if facts is None and not dataset:
        yield Archived(load_settings().data_dir)
        return
    told = (
        lines_of(facts)
        if facts is not None
        else map(msgspec.json.encode, importlib.import_module(DATASETS[dataset]).facts())
    )
    with spilled(told, clock.now()) as source:
        if source.rejected:
            Console(stderr=True).print(f"{source.rejected:,} facts are none that a server would take")
        yield source


def _write(file: Path, blob: bytes) -> None:
    part = file.with_name(f"{file.name}.part")
    try:
        part.write_bytes(blob)
        os.replace(part, file)
    except OSError as error:
        raise Refused("file.unwritable", f"{file} cannot be written: {error.strerror}.") from error
