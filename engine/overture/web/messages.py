"""Looking at messages, and trying one again."""

from __future__ import annotations

from aiohttp import web

from overture.model import Refused
from overture.web import shapes
from overture.web.routing import Call, answer, route
from overture.web.services import Page


@route("GET", "/v1/messages", scope="messages:read", answers={200: Page}, query=shapes.MessagesQuery)
async def page(call: Call) -> web.Response:
    """Messages, in one state or in any: why each was sent, dropped, or is still waiting."""
    query: shapes.MessagesQuery = call.query
    return answer(await call.services.messages.page(query.state, query.cursor, query.limit))


@route("POST", "/v1/messages/{id}/retry", scope="messages:write", answers={200: shapes.Retried})
async def retry(call: Call) -> web.Response:
    """Try a message again now, one that was given up included."""
    id = call.path("id")
    if not await call.services.messages.retry(id):
        raise Refused("message.unknown", "There is no such message.", "GET /v1/messages lists them.", status=404)
    return answer(shapes.Retried(id))
