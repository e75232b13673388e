"""Which scripts there are, and which of them are left alone for a while."""

from __future__ import annotations

from aiohttp import web

from overture.web.routing import Call, answer, route
from overture.web.scripted import ScriptView


@route("GET", "/v1/scripts", scope="rulesets:read", answers={200: list[ScriptView]})
async def every(call: Call) -> web.Response:
    """The scripts of the active rulesets; which of them this process has in quarantine, and why."""
    return answer(await call.services.scripts.states())
