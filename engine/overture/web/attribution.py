"""Attribution over HTTP: which touches conversions are owed to."""

from __future__ import annotations

from aiohttp import web

from overture.attribution.answer import Attribution, Underway
from overture.web.attributed import AttributionQuery
from overture.web.routing import Call, answer, route

AGAIN = "1"  # seconds


@route(
    "GET",
    "/v1/attribution",
    scope="contacts:read",
    answers={200: Attribution, 202: Underway},
    query=AttributionQuery,
)
async def ask(call: Call) -> web.Response:
    """Share conversions out to the touches before them, by each model. 202 where it takes long: ask again."""
    request = call.request

    def gone() -> bool:
        return request.transport is None or request.transport.is_closing()

    found = await call.services.attribution.ask(call.query.question(), gone)
    return answer(found) if isinstance(found, Attribution) else answer(found, 202, {"Retry-After": AGAIN})
