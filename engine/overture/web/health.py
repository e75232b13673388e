"""Is the process up, can it work, and how is it doing."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from overture.web import shapes
from overture.web.routing import PUBLIC, Call, answer, route


@route("GET", "/healthz", scope=PUBLIC, answers={200: shapes.Alive})
async def alive(call: Call) -> web.Response:
    """The process answers. Says nothing about the store: restarting would not help it."""
    return answer(shapes.Alive())


@route("GET", "/readyz", scope=PUBLIC, answers={200: dict[str, Any], 503: dict[str, Any]})
async def ready(call: Call) -> web.Response:
    """Whether facts can be taken and decided: the store, its durability, what is active."""
    state = await call.services.health.ready()
    return answer(state, 200 if state["ready"] else 503)


@route("GET", "/metrics", scope=PUBLIC, answers={200: None})
async def metrics(call: Call) -> web.Response:
    """Measurements of this process as Prometheus reads them; counts only, nothing about any contact."""
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
