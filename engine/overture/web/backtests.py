"""Backtests over HTTP: asked for, looked at, cancelled."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from overture.web.backtested import Backtest, BacktestQuery, BacktestRemoved, DetailQuery
from overture.web.routing import Call, answer, route
from overture.web.rulesets import document_of
from overture.web.services import Page


@route(
    "POST",
    "/v1/rulesets/{name}/backtest",
    scope="rulesets:write",
    answers={202: Backtest},
    takes={"application/yaml": str, "application/json": dict[str, Any]},
    query=BacktestQuery,
)
async def start(call: Call) -> web.Response:
    """Compare what a candidate would have done with recorded facts. Nothing is kept of it, nothing is sent.

    The body is a ruleset, or several separated by `---`, of which the first has the name in the address.
    """
    job = await call.services.backtests.start(call.path("name"), await document_of(call), call.query)
    return answer(job, 202, {"Location": f"/v1/backtests/{job.id}"})


@route("GET", "/v1/backtests/{id}", scope="rulesets:read", answers={200: Backtest})
async def one(call: Call) -> web.Response:
    """A backtest: how far it is, and what came of it."""
    return answer(await call.services.backtests.get(call.path("id")))


@route("GET", "/v1/backtests/{id}/contacts", scope="contacts:read", answers={200: Page}, query=DetailQuery)
async def contacts(call: Call) -> web.Response:
    """The contacts that differ, those with the most differences first."""
    query: DetailQuery = call.query
    items, after = await call.services.backtests.contacts(call.path("id"), int(query.cursor or 0), query.limit)
    return answer(Page(items, None if after is None else str(after)))


@route("DELETE", "/v1/backtests/{id}", scope="rulesets:write", answers={200: BacktestRemoved})
async def remove(call: Call) -> web.Response:
    """Cancel a backtest that waits or runs, and forget what came of it."""
    id = call.path("id")
    await call.services.backtests.remove(id)
    return answer(BacktestRemoved(id))
