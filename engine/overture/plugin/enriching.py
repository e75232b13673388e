"""Enrichers: what a plugin knows about a fact besides what its sender said, asked before the fact is on record."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec
from pydantic import BaseModel

from overture.model import clock
from overture.model.errors import PluginFailed
from overture.plugin.guard import Limits
from overture.plugin.hosted import Hosted, HostedNow
from overture.plugin.presented import Presented

C = TypeVar("C", bound=BaseModel)
PARALLEL = 32  # calls at once
KEYING = 0.02  # seconds that a key may take
LONGEST_KEY = 1_000  # characters


class Enricher(Protocol):
    """An open enricher. `enrich` is called concurrently, from one event loop, and may be cancelled at any await."""

    def key(self, fact: Presented) -> str | None:
        """What the answer depends on: facts with the same key get the same answer. None: it has none for this fact."""
        ...

    async def enrich(self, fact: Presented) -> Mapping[str, Any]:
        """JSON values by name, which become ``context.<name of the enricher>``; empty for nothing."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EnricherPlugin(Generic[C]):
    """``timeout`` seconds for all facts of a request together: those without an answer by then go on without. An answer
    is remembered for ``ttl`` seconds, the last ``remembered`` of them, and has at most ``most`` bytes of JSON.
    """

    name: str
    config: type[C]
    open: Callable[[C], Enricher]
    timeout: float = 0.2
    ttl: float = 300.0
    remembered: int = 10_000
    most: int = 4_096


class HostedEnricher:
    """An enricher with what it answered. ``dropped`` counts the facts that went on without an answer."""

    def __init__(self, name: str, plugin: EnricherPlugin[Any], enricher: Enricher) -> None:
        what = f"The enricher {name}"
        self.name = name
        self.dropped = 0
        self._plugin = plugin
        self._enricher = Hosted(what, Limits(timeout=plugin.timeout, parallel=PARALLEL), enricher)
        self._keys = HostedNow(what, Limits(timeout=KEYING), enricher)
        self._known: OrderedDict[str, tuple[float, dict[str, Any]]] = OrderedDict()

    @property
    def state(self) -> str:
        state = self._enricher.state
        return state if state != "closed" else self._keys.state

    @property
    def failures(self) -> int:
        return self._enricher.breaker.failures + self._keys.breaker.failures

    @property
    def last(self) -> str:
        return self._enricher.breaker.last or self._keys.breaker.last

    async def about(self, facts: Sequence[Presented]) -> list[dict[str, Any]]:
        """What it says about each; empty where it says nothing, or not in time."""
        if not self._known and "open" in (self._enricher.breaker.state, self._keys.breaker.state):
            self.dropped += len(facts)
            return [{} for _ in facts]
        keys = [self._key(fact) for fact in facts]
        asked: dict[str, Presented] = {}
        found: dict[str, dict[str, Any]] = {}
        for key, fact in zip(keys, facts, strict=True):
            if not key or key in found or key in asked:
                continue
            if (known := self._remembered(key)) is None:
                asked[key] = fact
            else:
                found[key] = known
        if asked:
            await self._ask(asked, found)
        self.dropped += sum(key is None or (key != "" and key not in found) for key in keys)
        return [found.get(key, {}) if key else {} for key in keys]

    async def close(self) -> None:
        await self._enricher.close()

    def _key(self, fact: Presented) -> str | None:
        """Empty where it has nothing to say, None where it fails to tell."""
        try:
            return self._keys.ask("key", fact, read=_key_of)
        except PluginFailed:
            return None

    def _remembered(self, key: str) -> dict[str, Any] | None:
        until, value = self._known.get(key, (0.0, None))
        return value if until > clock.elapsed() else None

    async def _ask(self, asked: Mapping[str, Presented], found: dict[str, dict[str, Any]]) -> None:
        """One time box for all of them; what is under way at its end may still come to be remembered."""
        left = iter(asked.items())
        until = clock.elapsed() + self._plugin.timeout
        asking = [asyncio.ensure_future(self._go_on(left, until, found)) for _ in range(min(PARALLEL, len(asked)))]
        try:
            await asyncio.wait(asking, timeout=self._plugin.timeout)
        except asyncio.CancelledError:
            for task in asking:
                task.cancel()
            raise

    async def _go_on(
        self, left: Iterable[tuple[str, Presented]], until: float, found: dict[str, dict[str, Any]]
    ) -> None:
        for key, fact in left:
            if clock.elapsed() >= until:
                return
            try:
                value = await self._enricher.ask("enrich", fact, read=self._value)
            except PluginFailed:
                continue
            found[key] = value
            self._remember(key, value)

    def _remember(self, key: str, value: dict[str, Any]) -> None:
        if self._plugin.ttl > 0:
            self._known.pop(key, None)
            self._known[key] = clock.elapsed() + self._plugin.ttl, value
            while len(self._known) > self._plugin.remembered:
                self._known.popitem(last=False)

    def _value(self, answer: Any) -> dict[str, Any]:
        if not isinstance(answer, Mapping):
            raise TypeError(f"{type(answer).__name__} is no mapping")
        encoded = msgspec.json.encode(dict(cast(Mapping[str, Any], answer)))
        if len(encoded) > self._plugin.most:
            raise ValueError(f"{len(encoded)} bytes, more than {self._plugin.most}")
        return msgspec.json.decode(encoded, type=dict[str, Any])


def _key_of(answer: Any) -> str:
    if answer is None:
        return ""
    if not isinstance(answer, str) or not answer or len(answer) > LONGEST_KEY:
        raise ValueError(f"a key is a text of 1 to {LONGEST_KEY} characters")
    return answer
