"""Looking at journeys: where contacts stand, what became of them."""

from __future__ import annotations

from aiohttp import web

from overture.web.funnels import Funnel, JourneyState
from overture.web.routing import Call, answer, route


@route("GET", "/v1/journeys", scope="rulesets:read", answers={200: list[JourneyState]})
async def every(call: Call) -> web.Response:
    """All journeys of the active rulesets, with how many entered, are under way, reached the goal."""
    return answer(await call.services.journeys.list())


@route("GET", "/v1/journeys/{name}/funnel", scope="rulesets:read", answers={200: Funnel})
async def funnel(call: Call) -> web.Response:
    """What became of those who entered, step by step, for each revision and way of a split, and against the holdout."""
    return answer(await call.services.journeys.funnel(call.path("name")))
