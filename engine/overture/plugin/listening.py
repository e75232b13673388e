"""A source as the host calls it: a request in, its facts or an answer out, in bounded time whatever the plugin does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from overture.model.errors import PluginFailed, Refused, clean, describe
from overture.plugin.cutoff import Blocked
from overture.plugin.guard import Busy, Guard, Late, Limits, Raised
from overture.plugin.sources import (
    Answer,
    Endpoint,
    Incoming,
    NoFact,
    Once,
    Posted,
    PullSource,
    PushSource,
    PushSourcePlugin,
    Refuse,
    Transform,
)

LISTENING = Limits(timeout=10.0, parallel=64, failures=20, pause=1.0)
_PATH = re.compile(r"~?(/([A-Za-z0-9_.-]+|\{[a-z_]+\}))*/?")
_NAMES = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class OpenPull:
    """A source that fetches, opened and not running yet."""

    source: PullSource


class HostedPush:
    """An open source that others call, behind a timeout, a bulkhead and a circuit breaker; one of a ``plugin``."""

    def __init__(
        self, name: str, plugin: PushSourcePlugin[Any], source: PushSource, limits: Limits = LISTENING
    ) -> None:
        self.name = name
        self.plugin = plugin.name
        own = [each for each in plugin.endpoints if name == plugin.name or each.path.startswith("~")]
        self.endpoints = [(_below(name, each.path), each) for each in own]  # of another name, what is below it alone
        self._guard = Guard(limits)
        self.breaker = self._guard.breaker
        self._source = source

    @property
    def state(self) -> str:
        """For people."""
        return self._guard.state

    async def parse(self, request: Incoming) -> Posted | Transform | Answer:
        """Raises Refused: the source's own refusal, or 503 ``source.failing`` where it fails."""
        if self.breaker.admit() is not None:
            raise self._failing(f"{self.breaker.why} and is left alone for a while")
        try:
            answer = await self._guard.call(self._source.parse, request)
        except asyncio.CancelledError:
            self.breaker.abandoned()
            raise
        if type(answer) is Busy:
            self.breaker.abandoned()
            raise self._failing("has as much to do as it may")
        try:
            told = self._guard.reading(self._wrong, answer)
        except Blocked as error:
            told = _interrupted(error)
        if isinstance(told, str) and told:
            self.breaker.failed(f"The source {self.name} {told}.")
            raise self._failing(told)
        self.breaker.succeeded()
        if isinstance(told, Refused):
            raise told
        return answer

    def _wrong(self, answer: Any) -> str | Refused:
        """What is wrong with what it came to; its own refusal of the request; empty where it can be used."""
        match answer:
            case Raised(error=Blocked() as error):
                return _interrupted(error)
            case Late(cancelled=True):
                return "cancelled itself"
            case Late():
                return f"did not answer within {self._guard.limits.timeout:g} s"
            case _:
                pass
        try:
            match answer:
                case Raised(error=Refuse() as refusal):
                    return _refused(refusal)
                case Raised(error=error):
                    return f"raised {describe(error)}"
                case Posted() | Transform() | Answer():
                    wrong = malformed(answer)
                    return wrong and f"answered a malformed {type(answer).__name__}: {wrong}"
                case _:
                    return f"answered {type(answer).__name__} instead of Posted, Transform or Answer"
        except BaseException as error:  # what it answered may be code as well
            return f"answered what cannot be used: {describe(error)}"

    async def close(self) -> None:
        """What it raises is of no use to anyone any more. Bounded."""
        await self._guard.close(self._source.close)

    def _failing(self, told: str) -> Refused:
        hint = "Nothing of the request was taken: send it again."
        return Refused("source.failing", f"The source {self.name} {told}.", hint, status=503)


def check_endpoints(plugin: PushSourcePlugin[Any]) -> None:
    """Raises PluginFailed where a path cannot be one."""
    seen: set[tuple[str, str]] = set()
    for each in plugin.endpoints:
        if not isinstance(each, Endpoint):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise PluginFailed("plugin.wrong_type", f"An endpoint of the source {plugin.name} is no Endpoint.")
        told = f"{each.method} {each.path!r} of the source {plugin.name}"
        if each.method not in ("GET", "POST"):
            raise PluginFailed("plugin.wrong_path", f"{told} is neither GET nor POST.")
        names = _NAMES.findall(each.path)
        if not each.path or not _PATH.fullmatch(each.path) or len(names) > len(set(names)):
            raise PluginFailed("plugin.wrong_path", f"{told} is no path.")
        if (each.method, each.path) in seen:
            raise PluginFailed("plugin.wrong_path", f"{told} is there twice.")
        seen.add((each.method, each.path))


def _below(name: str, path: str) -> str:
    return f"/in/{name}{path[1:]}" if path.startswith("~") else path


def malformed(answer: Posted | Transform | Answer) -> str:
    """What is wrong with the form of an answer; empty where nothing is."""
    reply = answer if isinstance(answer, Answer) else answer.answer
    if not isinstance(reply, Answer):  # pyright: ignore[reportUnnecessaryIsInstance]
        return "its answer is no Answer"
    if type(reply.status) is not int or not 200 <= reply.status <= 499:
        return f"status {reply.status!r}"
    if not isinstance(reply.headers, Mapping) or not all(map(_is_line, [*reply.headers, *reply.headers.values()])):  # pyright: ignore[reportUnnecessaryIsInstance]
        return "headers are lines of text by name"
    if not _is_line(reply.content_type):
        return "content_type is a line of text"
    if not isinstance(reply.body, bytes):
        try:
            msgspec.json.encode(reply.body)
        except (TypeError, ValueError, RecursionError) as error:
            return f"its body is no JSON: {describe(error)}"
    if isinstance(answer, Transform):
        try:
            msgspec.json.encode(answer.request)
        except (TypeError, ValueError, RecursionError, OverflowError) as error:
            return f"its request is no JSON: {describe(error)}"
        if type(answer.script) is not str or type(answer.seed) is not str:
            return "script and seed are texts"
    if isinstance(answer, Posted):
        if not _is_list(answer.facts) or not _is_list(answer.refused):
            return "facts and refused are lists"
        if not all(map(_is_no_fact, answer.refused)):
            return "what was refused is told as NoFact"
        if type(answer.key) is not str:
            return "key is a text"
        if answer.once is not None and not _is_once(answer.once):
            return "once is a word, what came with it, and seconds"
    return ""


def _is_no_fact(each: object) -> bool:
    return isinstance(each, NoFact) and type(each.code) is str and type(each.message) is str


def _is_once(each: object) -> bool:
    return isinstance(each, Once) and [type(part) for part in each] == [str, str, int] and each.seconds > 0


def _is_line(text: object) -> bool:
    return type(text) is str and text.isprintable()


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _refused(refusal: Refuse) -> Refused:
    status = refusal.status if type(refusal.status) is int and 400 <= refusal.status <= 499 else 400
    return Refused(clean(str(refusal.code)), clean(str(refusal.message))[:500], status=status)


def _interrupted(error: Blocked) -> str:
    return f"was interrupted. {error.message.rstrip('.')}"
