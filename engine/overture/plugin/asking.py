"""How the host asks plugins that must answer at once: in bounded time, checked, and not again and again."""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from overture.model.errors import describe
from overture.model.numbers import NUMBER_LIMIT
from overture.model.pure import Function, PureFailed, Scorer, Scoring, WrongConfig
from overture.model.scoring import Scored, ScoreInput
from overture.plugin.breaker import Breaker
from overture.plugin.cutoff import Blocked, Interrupted, bounded
from overture.plugin.guard import Limits
from overture.plugin.pure import FunctionPlugin, ScorerPlugin

ASKING = Limits(timeout=0.1, parallel=1, failures=5, pause=15.0)
WAITING = 10.0  # seconds that another thread waits for the main one
OPENING = 2.0  # seconds that opening a scorer may take
KEPT = 64  # open scorers of one plugin
VALUES = 5_000  # in a list or object that a function answers
TEXT = 16_384  # characters of a text in it, or that it answers
DEPTH = 16
CONTRIBUTIONS = 64
R = TypeVar("R")


Loop = asyncio.AbstractEventLoop


class NotHome(Exception):
    """The main thread did not come to it, or is gone."""

    def __str__(self) -> str:
        return "nobody was free to ask"


def at_home(loop: Loop | None, call: Callable[[], R]) -> R:
    """Do it in the main thread, where ``loop`` runs: only there can what goes on for ever be interrupted. Where the
    process has no loop there are no other threads that ask. Raises NotHome.
    """
    if loop is None or threading.current_thread() is threading.main_thread():
        return call()
    answer: Future[R] = Future()

    def run() -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    try:
        loop.call_soon_threadsafe(run)
        return answer.result(WAITING)
    except (TimeoutError, RuntimeError) as error:
        answer.cancel()
        raise NotHome from error


class _Wrong(Exception):
    """An answer that cannot be used."""


class Asked:
    """One thing that is asked. ``what``: how sentences name it; ``loop``: see `at_home`."""

    def __init__(self, what: str, limits: Limits, loop: Loop | None) -> None:
        self._loop = loop
        self.breaker = Breaker(limits.failures, limits.pause)
        self._what = what
        self._limits = limits

    def ask(self, call: Callable[..., Any], arguments: Sequence[Any], checked: Callable[[Any], R]) -> R:
        """What the plugin answers, as ``checked`` takes it. Raises PureFailed, whatever happens."""
        try:
            return at_home(self._loop, lambda: self._ask(call, arguments, checked))
        except NotHome:
            raise PureFailed("plugin.blocked", f"{self._what} could not be asked: nobody was free.") from None

    def _ask(self, call: Callable[..., Any], arguments: Sequence[Any], checked: Callable[[Any], R]) -> R:
        if self.breaker.admit() is not None:
            raise PureFailed("plugin.left_alone", f"{self._what} failed repeatedly and is left alone for a while.")
        try:
            answer, error = bounded(self._what, self._limits.timeout, self._contained, call, arguments, checked)
        except Blocked as blocked:
            answer, error = None, PureFailed("plugin.blocked", blocked.message)
        if error is None:
            self.breaker.succeeded()
            return cast(R, answer)
        self.breaker.failed(error.message)
        if error.code == "plugin.blocked":
            self.breaker.blocked()
        raise error

    def _contained(
        self, call: Callable[..., Any], arguments: Sequence[Any], checked: Callable[[Any], R]
    ) -> tuple[R | None, PureFailed | None]:
        """The answer, or what is wrong with it. The text of an error, too, is the plugin's code."""
        try:
            return checked(call(*arguments)), None
        except Interrupted:
            raise
        except _Wrong as error:
            return None, PureFailed("plugin.wrong_answer", f"{self._what} answered {error}.")
        except BaseException as error:
            return None, PureFailed("plugin.raised", f"{self._what} raised {describe(error)}.")


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
        return " · ".join(" ".join(str(part).split())[:300] for part in said if part)

    def _call(self, arguments: Sequence[Any]) -> Any:
        return self._asked.ask(self.plugin.call, [_own(value) for value in arguments], self._checked)

    def _checked(self, answer: Any) -> Any:
        wanted = self.plugin.returns
        if answer is None:
            if wanted.endswith("?"):
                return None
            raise _Wrong(f"nothing: no {wanted}")
        return _as(wanted.removesuffix("?"), answer)


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
            del self._open[next(iter(self._open))]

        def score(about: ScoreInput) -> Scored:
            return self._asked.ask(lambda: opened.score(about), (), _scored)  # where it has no `score`, it raises

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


# --- answers -----------------------------------------------------------------------------------------------------


def _as(kind: str, answer: Any) -> Any:
    """The answer as a value of that type."""
    found = json_of(answer)
    is_number = type(found) is int or type(found) is float
    fits = {
        "string": type(found) is str,
        "int": type(found) is int,
        "number": is_number,
        "datetime": is_number,
        "bool": type(found) is bool,
        "list": type(found) is list,
        "object": type(found) is dict,
        "any": True,
    }
    if not fits[kind]:
        raise _Wrong(f"{type(answer).__name__}: no {kind}")
    return found


def _scored(answer: Any) -> Scored:
    if not isinstance(answer, Scored):
        raise _Wrong(f"{type(answer).__name__}: no Scored")
    contributions = answer.contributions
    if not isinstance(contributions, Mapping) or len(contributions) > CONTRIBUTIONS:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise _Wrong(f"contributions that are no mapping of at most {CONTRIBUTIONS} names")
    told = {str(name)[:200]: _as("number", share) for name, share in contributions.items()}
    return Scored(_as("number", answer.value), told)


def json_of(value: Any) -> Any:
    """The value as a JSON value of our own: nobody else holds a part of it. Raises where it is none, or too large."""
    left = VALUES

    def copied(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > DEPTH:
            raise _Wrong(f"more than {VALUES} values, or deeper than {DEPTH}")
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            return _text(str(value))
        if isinstance(value, int):
            return _number(int(value))
        if isinstance(value, float):
            return _number(float(value))
        if isinstance(value, list | tuple):
            return [copied(item, depth + 1) for item in cast("Sequence[Any]", value)]
        if isinstance(value, Mapping):
            items = cast("Mapping[Any, Any]", value).items()
            return {_name(name): copied(item, depth + 1) for name, item in items}
        raise _Wrong(f"{type(value).__name__}: no JSON value")

    return copied(value, 0)


def _number(value: int | float) -> int | float:
    if not math.isfinite(value) or abs(value) > NUMBER_LIMIT:
        raise _Wrong("a number that is not finite, or beyond ±2^53")
    return value


def _text(value: str) -> str:
    if len(value) > TEXT:
        raise _Wrong(f"a text of more than {TEXT} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Wrong("a text with half of a character") from None
    return value


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise _Wrong(f"an object with a key that is {type(name).__name__}")
    return _text(str(name))
