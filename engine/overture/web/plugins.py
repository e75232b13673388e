"""Which plugins there are, and what their sources brought that was refused."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from overture.web.plugged import PluginView, RefusalView
from overture.web.routing import Call, answer, route


class RefusedQuery(msgspec.Struct, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 50


@route("GET", "/v1/plugins", scope="plugins:read", answers={200: list[PluginView]})
async def every(call: Call) -> web.Response:
    """All plugins found, with what they offer, the JSON Schema of its settings, and why one failed."""
    return answer(call.services.plugins.states())


@route("GET", "/v1/sources/refused", scope="plugins:read", answers={200: list[RefusalView]}, query=RefusedQuery)
async def refused(call: Call) -> web.Response:
    """The last facts that sources brought and that were refused, newest first, each with its reason."""
    query: RefusedQuery = call.query
    return answer(await call.services.plugins.refused(query.limit))
