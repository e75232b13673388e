"""Privacy over HTTP: a contact erased, with a proof that stays; all that is kept about one."""

from __future__ import annotations

from aiohttp import web

from overture.model import Refused
from overture.web import shapes
from overture.web.contacts import number_of, unknown
from overture.web.erased import ErasureList, ErasureView, Export
from overture.web.routing import Call, answer, route


@route("DELETE", "/v1/contacts/{id}", scope="contacts:erase", answers={202: ErasureView})
async def erase(call: Call) -> web.Response:
    """Erase a contact and all that became part of it, from the state, the record, and the store's file.

    It is done in the background; whatever happens to the server, it is finished. What is posted later under the same
    identifiers is about a new contact.
    """
    erasure = await call.services.privacy.erase(call.path("id"), call.source)
    if erasure is None:
        raise unknown()
    return answer(erasure, 202, {"Location": f"/v1/erasures/{erasure.id}"})


@route("GET", "/v1/contacts/{id}/export", scope="contacts:export", answers={200: Export})
async def export(call: Call) -> web.Response:
    """All that is kept about a contact, as one document."""
    exported = await call.services.privacy.export(call.path("id"))
    if exported is None:
        raise unknown()
    return answer(exported)


@route("GET", "/v1/erasures/{id}", scope="contacts:erase", answers={200: ErasureView})
async def one(call: Call) -> web.Response:
    """How far an erasure is, or the proof that it is done."""
    erasure = await call.services.privacy.erasure(call.path("id"))
    if erasure is None:
        raise Refused("erasure.unknown", "There is no such erasure.", "GET /v1/erasures lists them.", status=404)
    return answer(erasure)


@route("GET", "/v1/erasures", scope="contacts:erase", answers={200: ErasureList}, query=shapes.PageQuery)
async def every(call: Call) -> web.Response:
    """All erasures, and whether the chain of their proofs is whole."""
    query: shapes.PageQuery = call.query
    before = number_of(query.cursor) if query.cursor else None
    return answer(await call.services.privacy.erasures(before, query.limit))
