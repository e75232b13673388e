"""Looking at messages, trying one again, agreeing to one or not."""

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
    return _settled(call.path("id"), await call.services.messages.retry(call.path("id")))


@route("POST", "/v1/messages/{id}/approve", scope="messages:approve", answers={200: shapes.Retried})
async def approve(call: Call) -> web.Response:
    """Let a message go that waits for approval."""
    return _settled(call.path("id"), await call.services.messages.approve(call.path("id"), call.source))


@route("POST", "/v1/messages/{id}/reject", scope="messages:approve", answers={200: shapes.Retried})
async def reject(call: Call) -> web.Response:
    """Drop a message that waits for approval."""
    return _settled(call.path("id"), await call.services.messages.reject(call.path("id"), call.source))


def _settled(id: str, there: bool) -> web.Response:
    if not there:
        raise Refused("message.unknown", "There is no such message.", "GET /v1/messages lists them.", status=404)
    return answer(shapes.Retried(id))
