"""Looking at choices: what was shown, what came of it, and what is shown now."""

from __future__ import annotations

from aiohttp import web

from overture.web.chosen import ChoiceState
from overture.web.routing import Call, answer, route


@route("GET", "/v1/choices", scope="rulesets:read", answers={200: list[ChoiceState]})
async def every(call: Call) -> web.Response:
    """All choices of the active rulesets: of each variant how often it was shown, what came of it with its interval,
    how often it is drawn now, and what showing the others has cost.
    """
    return answer(await call.services.choices.list())
