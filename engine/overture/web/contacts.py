"""Looking at contacts: one, its timeline, rankings and segments."""

from __future__ import annotations

import re

from aiohttp import web

from overture.model import Contact, Refused
from overture.web import explained, shapes
from overture.web.routing import Call, answer, route
from overture.web.services import Page

_RECENT = 10


@route("GET", "/v1/contacts/{id}", scope="contacts:read", answers={200: shapes.ContactView})
async def one(call: Call) -> web.Response:
    """A contact by its id or by another of its identifiers."""
    contact = await find(call)
    traces = await call.services.contacts.timeline(contact.id, None, 2 * _RECENT)
    recent = [trace for trace in traces if not trace.fact.type.startswith("$")]  # Overture's own are in the timeline
    return answer(shapes.ContactView.of(contact, recent[:_RECENT]))


@route(
    "GET",
    "/v1/contacts/{id}/timeline",
    scope="contacts:read",
    answers={200: shapes.Timeline},
    query=shapes.PageQuery,
)
async def timeline(call: Call) -> web.Response:
    """What happened to a contact and why, newest first."""
    query: shapes.PageQuery = call.query
    contact = await find(call)
    before = number_of(query.cursor) if query.cursor else None
    traces = await call.services.contacts.timeline(contact.id, before, query.limit + 1)
    shown = traces[: query.limit]
    following = str(shown[-1].seq) if len(traces) > query.limit else None
    return answer(shapes.Timeline([shapes.Moment.of(trace) for trace in shown], following))


@route(
    "GET",
    "/v1/contacts/{id}/explain",
    scope="contacts:read",
    answers={200: explained.Explanation},
    query=explained.ExplainQuery,
)
async def explain(call: Call) -> web.Response:
    """Why a rule fired for a contact or did not, why it is in a segment or is not.

    The condition with the value that each part saw, the first part that failed, and the smallest change that would have
    made it hold; for a fact of the past exactly as it was decided then.
    """
    return answer(await call.services.explanations.explain(await find(call), call.query))


@route("GET", "/v1/scores/{name}/top", scope="contacts:read", answers={200: Page}, query=shapes.TopQuery)
async def top(call: Call) -> web.Response:
    """The contacts with the highest score, highest first."""
    query: shapes.TopQuery = call.query
    return answer(await call.services.rankings.top(call.path("name"), query.key, query.cursor, query.limit))


@route("GET", "/v1/segments/{name}/contacts", scope="contacts:read", answers={200: Page}, query=shapes.PageQuery)
async def members(call: Call) -> web.Response:
    """The contacts in a segment."""
    query: shapes.PageQuery = call.query
    return answer(await call.services.rankings.members(call.path("name"), query.cursor, query.limit))


def number_of(cursor: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", cursor):
        raise Refused("cursor.invalid", "This cursor is none of ours.", "Pass `next` of the page before.")
    return int(cursor)


async def find(call: Call) -> Contact:
    contact = await call.services.contacts.find(call.path("id"))
    if contact is None:
        raise unknown()
    return contact


def unknown() -> Refused:
    """Of one that was erased nothing else is known either."""
    hint = "A fact just accepted is decided a moment later; ?wait=true waits."
    return Refused("contact.unknown", "There is no such contact.", hint, status=404)
