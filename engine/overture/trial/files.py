"""Rulesets and their tests on disk: ``x.yaml`` and, beside it, ``x.test.yaml``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from overture.rules.yamltext import normalise

SUFFIX = ".test.yaml"

_START = re.compile(r"\A((?:[ \t]*(?:#[^\n]*)?\n)*)---[ \t]*(?=\n)")


def is_test(file: Path) -> bool:
    return file.name.endswith(SUFFIX)


def tests_of(ruleset: Path) -> Path:
    """Where the tests of a ruleset stand, if it has any."""
    return ruleset.with_name(ruleset.stem + SUFFIX)


def ruleset_of(tests: Path) -> Path:
    return tests.with_name(tests.name.removesuffix(SUFFIX) + ".yaml")


def documents(directory: Path) -> list[Path]:
    """The ruleset documents of a directory, without their tests. Raises OSError where there is no such directory."""
    return sorted(file for file in directory.iterdir() if file.suffix == ".yaml" and not is_test(file))


@dataclass(frozen=True, slots=True)
class Joined:
    """A ruleset with its tests as one document: what is deployed, and what the revision is the hash of.

    The tests are appended: both are mappings, the second has the one key ``tests``.
    """

    text: str
    lines: int  # of the ruleset alone

    def place(self, line: int) -> tuple[bool, int]:
        """Whether a line of the whole belongs to the tests, and its number there or in the ruleset."""
        return (True, line - self.lines) if line > self.lines else (False, line)


def join(ruleset: str, tests: str | None) -> Joined:
    """``tests`` None: the ruleset stands alone."""
    if tests is None:
        return Joined(ruleset, ruleset.count("\n") + 1)
    first = normalise(ruleset)
    first += "" if first.endswith("\n") else "\n"
    return Joined(first + _START.sub(r"\1", normalise(tests)), first.count("\n"))
