"""What came of tests, as data that can be printed, sent and written."""

from __future__ import annotations

import msgspec

from overture.model import Diagnostic


class Failure(msgspec.Struct, frozen=True):
    """An expectation that does not hold.

    ``expected`` and ``found`` are values as JSON text; ``values`` say what the condition behind it read.
    """

    line: int
    column: int
    what: str
    expected: str
    found: str
    values: list[str] = []


class Outcome(msgspec.Struct, frozen=True):
    """One test. It ends with the first ``expect`` that does not hold.

    ``happened``, where it failed: what was done since the ``expect`` before, a line for each fact and each rule.
    """

    name: str
    passed: bool
    line: int
    column: int
    steps: int
    failures: list[Failure] = []
    happened: list[str] = []


class Coverage(msgspec.Struct, frozen=True):
    """How much of a ruleset its tests set off.

    ``points``: its rules, and the ways into and out of its segments. ``never``: those that no test went through, as
    ``rule <name>``, ``segment <name> entered``, ``segment <name> left``.
    """

    points: int
    never: list[str] = []


class Result(msgspec.Struct, frozen=True):
    """The tests of one ruleset. With an error among the ``findings`` none was run."""

    ruleset: str
    passed: bool
    tests: list[Outcome]
    findings: list[Diagnostic]
    coverage: Coverage

    @property
    def invalid(self) -> bool:
        return any(finding.severity == "error" for finding in self.findings)
