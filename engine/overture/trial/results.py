"""What came of tests, as data that can be printed, sent and written."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from overture.model import Diagnostic, Refused


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


class TrialsFailed(Refused):
    """A ruleset that must not become active, because its tests fail; ``diagnostics`` has every expectation."""

    def __init__(self, results: Sequence[Result]) -> None:
        failed = [(result, outcome) for result in results for outcome in result.tests if not outcome.passed]
        names = ", ".join(repr(outcome.name) for _, outcome in failed[:3])
        more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
        super().__init__(
            "ruleset.tests_failed",
            f"Of the tests of {failed[0][0].ruleset} these fail: {names}{more}.",
            "Mend the rules, or the tests; `overture test` shows what happened.",
            status=422,
        )
        self.diagnostics = [
            Diagnostic(
                code="test.failed",
                message=f"{outcome.name}: {f.what}: expected {f.expected}, found {f.found}",
                pointer=result.ruleset,
                line=f.line,
                column=f.column,
            )
            for result, outcome in failed
            for f in outcome.failures
        ]
