"""Scripts of rulesets as the layers that decide see them: what is asked, and what came of it.

The step runs no script. Where it needs one that it was not told the answer of, it raises `Awaiting`; whoever drives it
has the calls made (`overture.sandbox`) and takes the step again, with the answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Script:
    """One script of one ruleset. ``id`` follows from ruleset, name and source; nothing is shared between two ids."""

    ruleset: str
    name: str
    id: str
    source: str = field(compare=False)

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


class Awaiting(Exception):
    """The step cannot go on without the answers of these calls."""

    def __init__(self, calls: list[Call]) -> None:
        super().__init__(f"{len(calls)} calls of scripts")
        self.calls = calls
