"""Backtests as the API shows them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec

from overture.backtest import Job, Jobs
from overture.model import Refused, clock
from overture.web.backtested import Backtest, BacktestError, BacktestProgress, BacktestQuery

INTERRUPTED = BacktestError(
    "backtest.interrupted", "The server stopped while this was under way.", "Ask for it once more."
)


class BacktestService:
    """Implements `overture.web.backtested.Backtests`."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def start(self, name: str, text: str, query: BacktestQuery) -> Backtest:
        return _shown(await self._jobs.start(name, text, query.since, query.until, query.baseline))

    async def get(self, id: str) -> Backtest:
        return await asyncio.to_thread(_shown, self._jobs.find(id))

    async def contacts(self, id: str, start: int, limit: int) -> tuple[list[dict[str, Any]], int | None]:
        job = self._jobs.find(id)
        if job.state() != "done":
            raise Refused("backtest.not_done", "This backtest has no answer yet.", "Look at its state.", status=409)
        try:
            return await asyncio.to_thread(_page, job.contacts, start, limit)
        except FileNotFoundError:
            raise _removed() from None

    async def remove(self, id: str) -> None:
        await self._jobs.remove(id)


def _shown(job: Job) -> Backtest:
    state, request, progress, failure = job.state(), job.request(), job.progress(), job.failure()
    if request is None:
        raise _removed()
    error = None
    if state == "failed":
        error = BacktestError(failure.code, failure.message, failure.hint) if failure else INTERRUPTED
    return Backtest(
        id=request.id,
        state=state,
        created_at=clock.to_text(request.created_at),
        rulesets=request.rulesets,
        since=request.since,
        until=request.until,
        baseline=request.baseline,
        progress=BacktestProgress(progress.of if state == "done" else progress.facts, progress.of),
        summary=job.summary() if state == "done" else None,
        error=error,
    )


def _page(path: Path, start: int, limit: int) -> tuple[list[dict[str, Any]], int | None]:
    """Lines of a file from a place on, and the place behind them."""
    with path.open("rb") as file:
        if start:
            if start > os.fstat(file.fileno()).st_size:
                raise _no_cursor()
            file.seek(start - 1)
            if file.read(1) != b"\n":
                raise _no_cursor()
        lines = [line for _, line in zip(range(limit), iter(file.readline, b""), strict=False)]
        after = file.tell()
        more = bool(file.read(1))
    return [msgspec.json.decode(line) for line in lines], after if more else None


def _no_cursor() -> Refused:
    return Refused("cursor.invalid", "This cursor is none of ours.", "Pass `next` of the page before.")


def _removed() -> Refused:
    return Refused("backtest.unknown", "This backtest was removed just now.", status=404)
