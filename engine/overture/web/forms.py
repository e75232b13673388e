"""Forms: what to ask a visitor, and what it answered."""

from __future__ import annotations

import msgspec
from aiohttp import web

from overture.model import Refused
from overture.web.auth import TRACK, authorize
from overture.web.formed import FormQuery, FormView, Submission, Submitted, Visitor
from overture.web.routing import Call, answer, route

BODY = 16 * 1024  # bytes of a submission, at most
_PRIVATE = {"Cache-Control": "no-store"}

_decode = msgspec.json.Decoder(Submission).decode


@route("GET", "/v1/forms/{name}", scope=TRACK, answers={200: FormView}, query=FormQuery, cors=True)
async def show(call: Call) -> web.Response:
    """The fields of a form that a visitor is to be shown: what is not known yet, a few at a time.

    An identified visitor (`visitor`, or `contact` with a key that may read contacts) sees some of them filled in. A
    cookie identifies nobody: with `anonymous_id` alone nothing is filled in, and only what was said under it is not
    asked again.
    """
    query: FormQuery = call.query
    form = await call.services.forms.show(call.path("name"), _visitor(call, query))
    return answer(form, headers=_PRIVATE)


@route(
    "POST",
    "/v1/forms/{name}",
    scope=TRACK,
    answers={200: Submitted},
    takes={"application/json": Submission},
    cors=True,
)
async def submit(call: Call) -> web.Response:
    """Take what a visitor answered: it becomes traits, and the form's fact.

    Answered once it is on disk and decided, or 422 with one error for each field. Sent again unchanged it takes effect
    once. Who is not identified adds what is not known yet, and changes nothing.
    """
    body = await call.bodies.read(call.request, BODY)
    call.services.sharing.came()
    try:
        said = _decode(body)
        taken = await call.services.forms.submit(call.path("name"), _visitor(call, said), said, call.source)
    except msgspec.DecodeError as error:
        hint = 'Send {"answers": {"email": "…"}, "about": {…}}; answers are texts, numbers, true or false.'
        raise Refused("form.malformed", f"This is no submission of a form: {error}.", hint) from None
    finally:
        call.bodies.release(body)
    call.spend(1)
    return answer(taken, headers=_PRIVATE)


def _visitor(call: Call, said: FormQuery | Submission) -> Visitor:
    """Raises Refused 403 where the key may not say who the visitor is: a write key stands in web pages."""
    if said.contact:
        authorize(call.request, call.services.keys, "contacts:read")
    return Visitor(said.anonymous_id, said.visitor, said.contact)
