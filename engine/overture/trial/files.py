"""Rulesets and their tests on disk: ``x.yaml`` and, beside it, ``x.test.yaml``; or ``.yml``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from overture.model import Diagnostic
from overture.model.pure import NO_PLUGINS, Pure
from overture.rules import Ruleset
from overture.rules.yamltext import normalise
from overture.trial.reading import inspect, inspect_tests

ENDINGS = (".yaml", ".yml")
TEST = ".test"

_START = re.compile(r"\A((?:[ \t]*(?:#[^\n]*)?\n)*)---[ \t]*(?=\n)")


def is_test(file: Path) -> bool:
    return file.suffix in ENDINGS and file.stem.endswith(TEST)


def tests_of(ruleset: Path) -> Path:
    """Where the tests of a ruleset stand, if it has any."""
    return _either([ruleset.with_name(f"{ruleset.stem}{TEST}{ending}") for ending in _endings(ruleset)])


def ruleset_of(tests: Path) -> Path:
    return _either([tests.with_name(f"{tests.stem.removesuffix(TEST)}{ending}") for ending in _endings(tests)])


def _endings(file: Path) -> list[str]:
    """That of the file first."""
    return sorted(ENDINGS, key=lambda ending: ending != file.suffix)


def _either(files: list[Path]) -> Path:
    """The first that is there, or would be."""
    return next((file for file in files if file.exists()), files[0])


def documents(directory: Path) -> list[Path]:
    """The ruleset documents of a directory, without their tests. Raises OSError where there is no such directory."""
    return sorted(file for file in directory.iterdir() if file.suffix in ENDINGS and not is_test(file))


@dataclass(frozen=True, slots=True)
class Source:
    """A ruleset and the tests beside it (None: there are none), as they are written."""

    file: Path
    text: str
    tests: str | None

    def inspect(self, pure: Pure = NO_PLUGINS) -> tuple[Ruleset | None, list[tuple[Path, list[Diagnostic]]]]:
        """The ruleset, None where there are errors; and what there is to say about each of the two files. ``pure``:
        what plugins add to the language.
        """
        ruleset, _, findings = inspect(self.text, pure)
        told = [(self.file, findings)]
        if self.tests is not None:
            told.append((tests_of(self.file), inspect_tests(self.tests)[1]))
        refused = any(finding.severity == "error" for _, found in told for finding in found)
        return None if refused else ruleset, told

    def whole(self) -> str:
        """Both as one document: what is deployed, and what the revision is the hash of.

        The tests are appended: both are mappings, and the second has the one key ``tests``.
        """
        if self.tests is None:
            return self.text
        return self._above() + _START.sub(r"\1", normalise(self.tests))

    def where(self, line: int) -> str:
        """``file:line`` of a line of the whole."""
        lines = self._above().count("\n")
        beside = self.tests is not None and line > lines
        return f"{tests_of(self.file)}:{line - lines}" if beside else f"{self.file}:{line}"

    def _above(self) -> str:
        text = normalise(self.text)
        return text if text.endswith("\n") else f"{text}\n"


def with_tests(file: Path, read: Callable[[Path], str]) -> Source:
    """Raises what ``read`` raises."""
    text = read(file)  # first: what cannot be read, such as ".", may have no name to find tests by
    beside = tests_of(file)
    return Source(file, text, read(beside) if beside.exists() else None)


def told(file: Path | str, finding: Diagnostic) -> str:
    """``file:line:column: code: message``."""
    return f"{file}:{finding.line}:{finding.column}: {finding.code}: {finding.message}"
