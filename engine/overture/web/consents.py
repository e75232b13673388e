"""Consent over HTTP: the pages behind the links in messages, a contact's history, the ledger checked."""

from __future__ import annotations

from urllib.parse import parse_qs

from aiohttp import web

from overture.model import Overloaded, OvertureError, Refused, StoreUnavailable
from overture.web import pages, shapes
from overture.web.contacts import find, number_of
from overture.web.routing import HTML, PUBLIC, Call, answer, route
from overture.web.subscribed import ConsentHistory, LedgerCheck

FORM = 16 * 1024  # bytes of a posted form, at most


@route("GET", "/subscription/{token}", scope=PUBLIC, answers={200: HTML, 404: HTML, 410: HTML})
async def page(call: Call) -> web.Response:
    """The page behind a link in a message: to confirm, to unsubscribe, or the preferences. It changes nothing."""
    try:
        return pages.form(await call.services.subscriptions.look(call.path("token")))
    except OvertureError as error:
        return _told(error)


@route(
    "POST",
    "/subscription/{token}",
    scope=PUBLIC,
    answers={200: HTML, 404: HTML, 410: HTML},
    takes={"application/x-www-form-urlencoded": dict[str, str]},
)
async def act(call: Call) -> web.Response:
    """Do what the link's page offers; for a link to unsubscribe also what mail programs post (RFC 8058).

    Answered once it is on disk.
    """
    try:
        body = await call.bodies.read(call.request, FORM)
        try:
            chosen = frozenset(parse_qs(body.decode("utf-8", "replace")))
            return pages.done(await call.services.subscriptions.act(call.path("token"), chosen))
        finally:
            call.bodies.release(body)
    except OvertureError as error:
        return _told(error)


@route(
    "GET",
    "/v1/contacts/{id}/consent",
    scope="contacts:read",
    answers={200: ConsentHistory},
    query=shapes.PageQuery,
)
async def history(call: Call) -> web.Response:
    """What a contact agreed to and took back, newest first: its part of the consent ledger.

    What was said before contacts were linked is part of it.
    """
    query: shapes.PageQuery = call.query
    contact = await find(call)
    found = await call.services.subscriptions.history(contact.id)
    end = min(number_of(query.cursor), len(found)) if query.cursor else len(found)
    start = max(0, end - query.limit)
    return answer(ConsentHistory(found[start:end][::-1], str(start) if start else None))


@route("GET", "/v1/consent/verify", scope="consent:verify", answers={200: LedgerCheck})
async def verify(call: Call) -> web.Response:
    """Walk the consent ledger from its first link to its last, and say whether it is whole."""
    return answer(await call.services.subscriptions.verify())


def _told(error: OvertureError) -> web.Response:
    """People read this answer."""
    if isinstance(error, Overloaded):
        response = pages.problem(error.status, error.code, "Too much is going on here.", "Try again in a minute.")
        response.headers["Retry-After"] = str(error.retry_after)
        return response
    if isinstance(error, StoreUnavailable):
        return pages.problem(503, error.code, "This cannot be done at the moment.", "Try again in a minute.")
    status = error.status if isinstance(error, Refused) else 500
    return pages.problem(status, error.code, error.message, error.hint)
