"""Rulesets with the tests beside them, as they are on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from overture.cli.documents import read
from overture.model import Diagnostic, Refused
from overture.model.pure import Pure
from overture.rules import Ruleset
from overture.trial.document import Trial
from overture.trial.files import documents, is_test, ruleset_of, tests_of
from overture.trial.reading import inspect, inspect_tests


@dataclass(frozen=True, slots=True)
class Suite:
    """A ruleset and its tests. ``file`` holds the tests: it is the ruleset's own, or the one beside it.

    ``ruleset`` is None where it or the tests cannot be used; ``findings`` say why, by the file they are about.
    """

    file: Path
    ruleset: Ruleset | None
    trials: tuple[Trial, ...]
    findings: list[tuple[Path, list[Diagnostic]]]


class Folders:
    """Reads each ruleset document once."""

    def __init__(self, pure: Pure) -> None:
        """``pure``: what plugins add to the language."""
        self._pure = pure
        self._read: dict[Path, tuple[Ruleset | None, tuple[Trial, ...], list[Diagnostic]]] = {}

    def suites(self, paths: Sequence[Path]) -> tuple[list[Suite], list[Path]]:
        """The rulesets under these paths (folders, test files, or rulesets) that have tests, and the files of those
        that have none. Raises Refused."""
        files: dict[Path, Path] = {}
        for file in _rulesets(paths):
            files.setdefault(file.resolve(), file)  # one file, however it is named
        found = {file: self._suite(file) for file in files.values()}
        return [suite for suite in found.values() if suite], [file for file, suite in found.items() if not suite]

    def library(self, suite: Suite) -> dict[str, Ruleset]:
        """The rulesets of the suite's folder that can be used, by name; only its own where it needs no other."""
        assert suite.ruleset is not None
        found: dict[str, Ruleset] = {}
        if suite.ruleset.requires or any(trial.rulesets for trial in suite.trials):
            read = [self._ruleset(file)[0] for file in documents(suite.file.parent)]
            found = {ruleset.name: ruleset for ruleset in read if ruleset is not None}
        return {**found, suite.ruleset.name: suite.ruleset}

    def beside(self, file: Path) -> tuple[Ruleset | None, list[Diagnostic], dict[str, Ruleset]]:
        """A ruleset, what is wrong with it, and the rulesets of its folder that can be used, by name."""
        ruleset, _, findings = self._ruleset(file)
        needs = ruleset is not None and ruleset.requires
        read = [self._ruleset(other)[0] for other in documents(file.parent)] if needs else []
        return ruleset, findings, {each.name: each for each in read if each is not None}

    def _ruleset(self, file: Path) -> tuple[Ruleset | None, tuple[Trial, ...], list[Diagnostic]]:
        if file not in self._read:
            self._read[file] = inspect(read(file), self._pure)
        return self._read[file]

    def _suite(self, file: Path) -> Suite | None:
        beside = tests_of(file)
        if not file.exists() and beside.exists():
            message = f"There is no {file.name} beside this test document"
            return Suite(beside, None, (), [(beside, [_finding("test.ruleset", message, "Name it like its ruleset.")])])
        ruleset, own, findings = self._ruleset(file)
        told = [(file, findings)]
        if not beside.exists():
            return Suite(file, ruleset, own, told) if own or _errors(findings) else None
        trials, more = inspect_tests(read(beside))
        if own:
            message = f"{file.name} has tests of its own"
            more = [*more, _finding("test.ruleset", message, "Keep the tests in one of the two.")]
        told.append((beside, more))
        return Suite(beside, None if _errors(more) else ruleset, trials, told)


def _rulesets(paths: Sequence[Path]) -> Iterable[Path]:
    for path in paths:
        if not path.is_dir():
            yield ruleset_of(path) if is_test(path) else path
            continue
        try:
            orphans = [ruleset_of(file) for file in path.iterdir() if is_test(file)]
            yield from sorted({*documents(path), *orphans})
        except OSError as error:
            raise Refused("check.unreadable", f"{path} cannot be read: {error.strerror}.") from error


def _errors(findings: Iterable[Diagnostic]) -> bool:
    return any(finding.severity == "error" for finding in findings)


def _finding(code: str, message: str, hint: str) -> Diagnostic:
    return Diagnostic(code=code, message=message, line=1, column=1, hint=hint)
