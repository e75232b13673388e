"""Backtests as they travel over HTTP, and what the routes need of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import Meta

from overture.web.shapes import Limit


class BacktestQuery(msgspec.Struct, forbid_unknown_fields=True):
    since: Annotated[str, Meta(max_length=64, description="An instant, or a duration back from the end.")] = ""
    until: Annotated[str, Meta(max_length=64, description="An instant, or a duration back from the last fact.")] = ""
    baseline: Annotated[
        Literal["active", "recorded"],
        Meta(description="Compare with what is active now, or with what was active at each fact."),
    ] = "active"


class DetailQuery(msgspec.Struct, forbid_unknown_fields=True):
    cursor: Annotated[str, Meta(pattern="^[0-9]{1,15}$", description="`next` of the page before.")] | None = None
    limit: Limit = 50


class BacktestProgress(msgspec.Struct, frozen=True):
    """Facts replayed, of how many; 0 of 0 while they are counted."""

    facts: int
    of: int


class BacktestError(msgspec.Struct, frozen=True):
    """Why there is no summary."""

    code: str
    message: str
    hint: str


class Backtest(msgspec.Struct, frozen=True):
    """A backtest: ``rulesets`` are the candidates with their revisions; ``summary`` is there once it is done, ``error``
    where it failed."""

    id: str
    state: Literal["waiting", "running", "done", "failed"]
    created_at: str
    rulesets: dict[str, str]
    since: str
    until: str
    baseline: str
    progress: BacktestProgress
    summary: dict[str, Any] | None
    error: BacktestError | None


class BacktestRemoved(msgspec.Struct, frozen=True):
    id: str


class Backtests(Protocol):
    """Raises Refused ``backtest.unknown`` (404) for an id that is none."""

    async def start(self, name: str, text: str, query: BacktestQuery) -> Backtest:
        """Raises RulesetInvalid, Refused, Overloaded."""
        ...

    async def get(self, id: str) -> Backtest: ...

    async def contacts(self, id: str, start: int, limit: int) -> tuple[list[dict[str, Any]], int | None]:
        """Contacts that differ from place ``start`` on, and the place of the next, None at the end. Raises Refused 409
        where it is not done."""
        ...

    async def remove(self, id: str) -> None: ...
