"""What plugins add to the language: condition functions and scorers, as the layers that decide see them.

They are values, handed in from above: whoever reads a ruleset is given the `Pure` of this installation. Calling one
answers a checked value or raises `PluginFailed`, whatever the plugin's code does.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from overture.model.errors import PluginFailed
from overture.model.pages import Engine
from overture.model.scoring import Scored, ScoreInput
from overture.model.script import Check

METHODS = frozenset({"startswith", "endswith", "contains", "lower"})
"""Functions of the language that are written after a dot."""
FUNCTIONS = frozenset(
    {"has", "matches", "len", "min", "max", "abs", "round", "now", "age", "days", "local"}
    | {"count", "total", "last", "first", "seen"}
)
ROOTS = frozenset({"fact", "contact", "consts", "journey", "wait", "second", "third", "fourth"})
"""What no plugin may call its functions, like the names of the language's own."""

TYPES = ("string", "int", "number", "bool", "datetime", "list", "object", "any")
"""What fields can be, and what functions take and answer; with ``?`` it may be missing. A datetime is milliseconds."""


@dataclass(frozen=True, slots=True)
class Function:
    """A condition function. ``parameters`` and ``returns`` are types as rulesets declare them: ``string``, ``number?``.

    A parameter with ``?`` may be missing, and the last of these may be left out. ``call`` takes one argument for each.
    """

    name: str
    parameters: tuple[str, ...]
    returns: str
    call: Callable[[Sequence[Any]], Any] = field(compare=False)

    @property
    def fewest(self) -> int:
        """Arguments that must be written."""
        return max((n for n, kind in enumerate(self.parameters, 1) if not kind.endswith("?")), default=0)

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(self.parameters)}) → {self.returns}"


@dataclass(frozen=True, slots=True)
class Scoring:
    """A scorer with its settings, as one action uses it; ``config``: the settings as they are written."""

    name: str
    config: Mapping[str, Any]
    version: str = field(compare=False)
    score: Callable[[ScoreInput], Scored] = field(compare=False)


class WrongConfig(Exception):
    """The settings of a scorer are refused: for each mistake the path to it, what it is (pydantic's), a sentence."""

    def __init__(self, problems: list[tuple[tuple[str | int, ...], str, str]]) -> None:
        super().__init__()
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Scorer:
    """A scorer that is installed. ``open`` makes one from settings; it raises `WrongConfig`, nothing else."""

    name: str
    open: Callable[[Mapping[str, Any]], Scoring] = field(compare=False)
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pure:
    """Those of one installation, by name. ``check`` reads scripts for mistakes, ``templates`` asks the engine about
    texts of templates; None: nobody asks for these, as they were asked for when the document was put.
    """

    functions: Mapping[str, Function] = field(default_factory=dict[str, Function])
    scorers: Mapping[str, Scorer] = field(default_factory=dict[str, Scorer])
    check: Check | None = field(default=None, compare=False)
    templates: Engine | None = field(default=None, compare=False)


NO_PLUGINS = Pure()


class Failure(NamedTuple):
    """``asker`` is the place in a ruleset that asked: ``growth#/rules/hot/when``."""

    function: str
    asker: str
    code: str
    message: str


_MOST = 100  # failures that are noted down of one step
_failures: ContextVar[list[Failure] | None] = ContextVar("failures", default=None)


@contextmanager
def noting() -> Generator[list[Failure]]:
    """Collects the failures of functions from here on, each once."""
    found: list[Failure] = []
    token = _failures.set(found)
    try:
        yield found
    finally:
        _failures.reset(token)


def note(function: str, asker: str, error: PluginFailed) -> None:
    found, failure = _failures.get(), Failure(function, asker, error.code, error.message)
    if found is not None and len(found) < _MOST and failure not in found:
        found.append(failure)
