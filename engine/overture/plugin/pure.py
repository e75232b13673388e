"""What a plugin that adds to the language of rulesets hands to Overture: condition functions and scorers.

Both are pure: the same arguments give the same answer, with no clock, network or files in between. Backtests, tests and
explanations call them as live traffic does, so an answer that depends on anything else makes these untrue. They are
called in the worker itself, with a limit on the time and a circuit breaker (`overture.plugin.asking`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from keyword import iskeyword
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel

from overture.model.errors import PluginFailed
from overture.model.pure import FUNCTIONS, METHODS, ROOTS, TYPES
from overture.model.scoring import Scored, ScoreInput

C = TypeVar("C", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionPlugin:
    """A function that conditions and values of rulesets may call: ``name(…)``.

    ``parameters`` and ``returns`` are types as rulesets declare them: ``string``, ``int``, ``number``, ``bool``,
    ``datetime`` (milliseconds since the epoch, UTC), ``list``, ``object``, ``any``. ``?`` after one: it may be missing
    (None); the last such parameters may be left out. Where another argument is missing the answer is, too, and the
    function is not called. ``call`` takes one argument for each parameter; where it raises, or answers something that
    ``returns`` does not allow, the rule that asked does not fire, and the contact's timeline says why. ``doc``: one
    sentence for people; ``example``: a call as authors write it.
    """

    name: str
    parameters: tuple[str, ...]
    returns: str
    call: Callable[..., Any]
    doc: str = ""
    example: str = ""


class Scorer(Protocol):
    """An open scorer."""

    def score(self, given: ScoreInput, /) -> Scored:
        """What the score is from now on. Where it raises the score stays as it is, and the timeline says why."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerPlugin(Generic[C]):
    """A scorer that rules name in ``score: {name: lead, by: name, with: {…}}``.

    ``config`` is the pydantic model of what stands under ``with``, checked when the ruleset is deployed; ``open`` makes
    the scorer from it, without network. ``version`` stands beside each score that is told: another one where the same
    input may give another score.
    """

    name: str
    config: type[C]
    open: Callable[[C], Scorer]
    version: str


def check_function(offered: FunctionPlugin) -> None:
    """Raises PluginFailed where rulesets could not call it; its name is one that anything offered may have."""
    name = offered.name
    if name in FUNCTIONS | METHODS | ROOTS or iskeyword(name):
        raise PluginFailed("plugin.built_in", f"The language of rulesets has its own {name}.")
    if not callable(offered.call) or iscoroutinefunction(offered.call):
        raise PluginFailed("plugin.wrong_type", f"The call of the function {name} is no ordinary function.")
    if not isinstance(offered.parameters, tuple):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise PluginFailed("plugin.wrong_type", f"The parameters of the function {name} are no tuple of types.")
    for kind in (*offered.parameters, offered.returns):
        if not isinstance(kind, str) or kind.removesuffix("?") not in TYPES:  # pyright: ignore[reportUnnecessaryIsInstance]
            message = f"{kind!r} of the function {name} is no type of the language: {', '.join(TYPES)}."
            raise PluginFailed("plugin.wrong_type", message)
