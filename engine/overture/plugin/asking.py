"""The functions and scorers of plugins as the layers that decide see them: asked in bounded time, answers checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from overture.model.errors import clean, describe
from overture.model.pure import Function, Scorer, Scoring, WrongConfig
from overture.model.scoring import Scored, ScoreInput
from overture.plugin.answers import scored, value_of
from overture.plugin.cutoff import Blocked, Interrupted, bounded
from overture.plugin.guard import Limits
from overture.plugin.prompt import Asked, Loop, NotHome, Wrong, at_home
from overture.plugin.pure import FunctionPlugin, ScorerPlugin

ASKING = Limits(timeout=0.1, parallel=1, failures=5, pause=15.0)
OPENING = 2.0  # seconds that opening a scorer may take
KEPT = 64  # open scorers of one plugin


class HostedFunction:
    """A condition function of a plugin, as the layers that decide see it: ``function``."""

    def __init__(self, plugin: FunctionPlugin, limits: Limits = ASKING, loop: Loop | None = None) -> None:
        self.plugin = plugin
        self._asked = Asked(f"The function {plugin.name}", limits, loop)
        self.breaker = self._asked.breaker
        self.function = Function(plugin.name, tuple(plugin.parameters), plugin.returns, self._call)

    @property
    def told(self) -> str:
        """What it takes and answers, and what its plugin says of it, on one line."""
        said = (self.function.signature, self.plugin.doc, self.plugin.example)
        return clean(" · ".join(" ".join(str(part).split())[:300] for part in said if part))

    def _call(self, arguments: Sequence[Any]) -> Any:
        return self._asked.ask(self.plugin.call, [_own(value) for value in arguments], self._read)

    def _read(self, answer: Any) -> Any:
        wanted = self.plugin.returns
        if answer is None:
            if wanted.endswith("?"):
                return None
            raise Wrong(f"nothing: no {wanted}")
        return value_of(wanted.removesuffix("?"), answer)


class HostedScorer:
    """A scorer of a plugin: ``scorer`` opens one for each of the settings that rulesets have, once."""

    def __init__(self, plugin: ScorerPlugin[Any], limits: Limits = ASKING, loop: Loop | None = None) -> None:
        self.plugin = plugin
        self._loop = loop
        self._asked = Asked(f"The scorer {plugin.name}", limits, loop)
        self.breaker = self._asked.breaker
        self._open: dict[str, Scoring] = {}
        self.scorer = Scorer(plugin.name, self.open, tuple(plugin.config.model_fields))

    def open(self, given: Mapping[str, Any]) -> Scoring:
        """The scorer with these settings. Raises WrongConfig, whatever happens."""
        key = json.dumps(given, sort_keys=True)
        if (known := self._open.get(key)) is not None:
            return known
        try:
            what = f"The scorer {self.plugin.name}"
            opened, problems = at_home(self._loop, lambda: bounded(what, OPENING, self._opened, given))
        except (Blocked, NotHome) as error:
            raise WrongConfig([((), "blocked", str(error))]) from None
        if problems:
            raise WrongConfig(problems)
        while len(self._open) >= KEPT:
            self._open.pop(next(iter(list(self._open))), None)  # another thread may be at it as well

        def score(about: ScoreInput) -> Scored:
            return self._asked.ask(lambda: opened.score(about), (), scored)  # where it has no `score`, it raises

        scoring = self._open[key] = Scoring(self.plugin.name, given, self.plugin.version, score)
        return scoring

    def _opened(self, given: Mapping[str, Any]) -> tuple[Any, list[tuple[tuple[str | int, ...], str, str]]]:
        model: type[BaseModel] = self.plugin.config
        try:
            config = model.model_validate(given, extra=None if "extra" in model.model_config else "forbid")
            return self.plugin.open(config), []
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            return None, [(each["loc"], each["type"], each["msg"]) for each in found]
        except Interrupted:
            raise
        except BaseException as error:
            return None, [((), "raised", f"the scorer {self.plugin.name} does not open: {describe(error)}")]


def _own(value: Any) -> Any:
    """A JSON value that shares nothing with the state it comes from."""
    if value.__class__ is list:
        return [_own(item) for item in value]
    if value.__class__ is dict:
        return {name: _own(item) for name, item in value.items()}
    return value
