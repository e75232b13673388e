"""Scripts of rulesets as the layers that decide see them: what is asked, and what came of it.

The step runs no script. Where it needs one that it was not told the answer of, it raises `Awaiting`; whoever drives it
has the calls made (`overture.sandbox`) and takes the step again, with the answers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Script:
    """One script of one ruleset. ``id`` follows from ruleset, name and source; nothing is shared between two ids.

    ``timeout_ms``: how long a call may take; 0: as long as the installation's settings say.
    """

    ruleset: str
    name: str
    id: str
    source: str = field(compare=False)
    timeout_ms: int = field(default=0, compare=False)

    @property
    def path(self) -> str:
        """How sentences name it: ``growth/fit``."""
        return f"{self.ruleset}/{self.name}"


@dataclass(frozen=True, slots=True)
class Call:
    """``given``: its arguments, a JSON text of an object by parameter. ``now`` (ms) is what its clock shows; ``seed``
    (from the fact's id) begins its random numbers. Equal calls have equal answers.
    """

    script: Script
    given: str
    now: int
    seed: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a script answered, plain JSON (``code`` is empty then), or why it did not: ``script.…`` and a sentence."""

    value: Any = None
    code: str = ""
    message: str = ""


Answers = Mapping[Call, Said]
NO_ANSWERS: Answers = MappingProxyType({})

Ask = Callable[[Sequence[Call]], Sequence[Said]]
"""Has calls made and waits: the answers in the order of the calls. It never raises for what a script does."""


def unavailable(calls: Sequence[Call]) -> list[Said]:
    """The `Ask` of those who run no scripts."""
    return [Said(code="script.unavailable", message="Scripts do not run here.") for _ in calls]


class Problem(NamedTuple):
    """What is wrong in the source of a script: ``script.syntax`` or ``script.types``, where (from 1), and how."""

    code: str
    line: int
    column: int
    message: str


Check = Callable[[str, str], Sequence[Problem]]
"""``(source, stub)``: the stub declares, in Python, the types that the source names."""


class Awaiting(Exception):
    """The step cannot go on without the answers of these calls."""

    def __init__(self, calls: list[Call]) -> None:
        super().__init__(f"{len(calls)} calls of scripts")
        self.calls = calls
