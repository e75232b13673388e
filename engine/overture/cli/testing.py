"""``overture test``: collecting, running, telling."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from overture.cli.documents import show_findings
from overture.cli.scripted import asking, checking
from overture.cli.suites import Folders, Suite
from overture.cli.terminal import load_settings, loaded_plugins
from overture.model import Diagnostic, Refused
from overture.model.script import Ask
from overture.plugin.manager import PluginManager
from overture.trial.junit import junit
from overture.trial.results import Outcome, Result
from overture.trial.suite import run

PASSED, FAILED, INVALID = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Ran:
    """The tests of one file. ``result`` is None where they could not be run; ``findings`` say why."""

    file: Path
    ruleset: str
    result: Result | None
    findings: list[tuple[Path, list[Diagnostic]]]

    @property
    def invalid(self) -> bool:
        return self.result is None or self.result.invalid


def run_tests(
    paths: Sequence[Path], console: Console, *, as_json: bool, report: Path | None, demand: bool, least: float
) -> int:
    """Run the tests under these paths and print what came of them; answers the exit code.

    ``report``: where JUnit XML is written. ``demand``: no test at all is a failure. ``least``: percent of the rules and
    ways into and out of segments that the tests must have set off.
    """
    gc.freeze()  # what is imported by now stays; looking through it again and again would take a third of the time
    if not paths:
        raise Refused("test.no_files", "There is nothing to test.", "Name a folder, a ruleset or a test document.")
    plugins = loaded_plugins()
    with checking(plugins.pure()) as pure, asking() as ask:
        folders = Folders(pure)
        suites, untested = folders.suites(paths)
        ran = _run(folders, suites, plugins, ask)
    outcomes = [outcome for each in ran if each.result for outcome in each.result.tests]
    points, never = _coverage(ran)
    percent = 100 * (points - never) / points if points else 100.0
    if report is not None:
        _write(report, junit([(str(r.file), r.ruleset, r.result, _all(r)) for r in ran]))
    if as_json:
        _print_json(ran, outcomes, percent, untested)
    else:
        _print(ran, outcomes, f"{points - never} of {points}", untested, console)
    if any(each.invalid for each in ran):
        return INVALID
    failed = any(not outcome.passed for outcome in outcomes)
    return FAILED if failed or (demand and not outcomes) or percent < least else PASSED


def _run(folders: Folders, suites: Sequence[Suite], plugins: PluginManager, ask: Ask) -> list[Ran]:
    named = plugins.channel_names(load_settings().channels)
    done: list[Ran] = []
    for suite in suites:
        if suite.ruleset is None:
            done.append(Ran(suite.file, suite.file.name.partition(".")[0], None, suite.findings))
            continue
        result = run(suite.ruleset, suite.trials, folders.library(suite), plugins.addresses(named), named, ask)
        done.append(Ran(suite.file, suite.ruleset.name, result, [*suite.findings, (suite.file, result.findings)]))
    return done


def _coverage(ran: Iterable[Ran]) -> tuple[int, int]:
    told = [each.result.coverage for each in ran if each.result]
    return sum(c.points for c in told), sum(len(c.never) for c in told)


def _all(ran: Ran) -> list[Diagnostic]:
    return [finding for _, findings in ran.findings for finding in findings]


def _print(ran: list[Ran], outcomes: list[Outcome], covered: str, untested: list[Path], console: Console) -> None:
    for each in ran:
        for file, findings in each.findings:
            show_findings(file, findings, console)
        for outcome in each.result.tests if each.result else ():
            _print_outcome(each.file, outcome, console)
    failed = sum(not outcome.passed for outcome in outcomes)
    steps = sum(outcome.steps for outcome in outcomes)
    console.print(f"{len(outcomes)} tests, {failed} failed, {steps} steps; {covered} rules and segment edges covered")
    if untested:
        console.print(f"rulesets without tests: {len(untested)} ({', '.join(map(str, untested))})", markup=False)
    for each in ran:
        if each.result and each.result.coverage.never:
            console.print(f"{each.ruleset}: never {', '.join(each.result.coverage.never)}", markup=False)


def _print_outcome(file: Path, outcome: Outcome, console: Console) -> None:
    def say(text: str) -> None:
        console.print(text, markup=False)

    say(f"{'PASS' if outcome.passed else 'FAIL'} {file}:{outcome.line}:{outcome.column} {outcome.name}")
    for failure in outcome.failures:
        say(f"  {file}:{failure.line}:{failure.column}: {failure.what}")
        say(f"      expected {failure.expected}")
        say(f"      found    {failure.found}")
        for value in failure.values:
            say(f"      {value}")
    if outcome.happened:
        say("  since the last expect:")
        for line in outcome.happened:
            say(f"      {line}")


def _print_json(ran: list[Ran], outcomes: list[Outcome], percent: float, untested: list[Path]) -> None:
    suites: list[dict[str, Any]] = [
        {
            "file": str(each.file),
            "ruleset": each.ruleset,
            "tests": msgspec.to_builtins(each.result.tests) if each.result else [],
            "coverage": msgspec.to_builtins(each.result.coverage) if each.result else None,
            "findings": [{"file": str(file), **msgspec.to_builtins(d)} for file, found in each.findings for d in found],
        }
        for each in ran
    ]
    failed = sum(not outcome.passed for outcome in outcomes)
    told = {"tests": len(outcomes), "failed": failed, "coverage": round(percent, 1), "suites": suites}
    print(json.dumps({**told, "untested": [str(file) for file in untested]}))


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise Refused("test.unwritable", f"{file} cannot be written: {error.strerror}.") from error
