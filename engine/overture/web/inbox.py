"""The inbox of a contact, as its own page or app reads it with a token that the app's backend has obtained."""

from __future__ import annotations

import msgspec
from aiohttp import web

from overture.model import Refused
from overture.web import shapes
from overture.web.contacts import unknown
from overture.web.inboxed import InboxPage, InboxQuery, InboxToken, NewToken, StreamQuery, TokenQuery
from overture.web.routing import PUBLIC, Call, allow_origin, answer, route

BODY = 16 * 1024  # bytes
RETRY = 2_000  # ms after which a browser comes back
STREAM = "text/event-stream"
_decode = msgspec.json.Decoder(NewToken).decode


@route("POST", "/v1/inbox/token", scope="inbox:token", answers={200: InboxToken}, takes={"application/json": NewToken})
async def token(call: Call) -> web.Response:
    """A token with which a browser or an app reads the inbox of one contact, for a while."""
    body = await call.bodies.read(call.request, BODY)
    try:
        new = _decode(body)
    except msgspec.DecodeError as error:
        raise Refused("inbox.malformed", f"This asks for no token: {error}.", 'Send {"contact": "ada"}.') from None
    finally:
        call.bodies.release(body)
    contact = await call.services.contacts.find(new.contact)
    if contact is None:
        raise unknown()
    return answer(call.services.inbox.token(contact, new.seconds), headers={"Cache-Control": "no-store"})


@route("GET", "/v1/inbox", scope=PUBLIC, answers={200: InboxPage}, query=InboxQuery, cors=True)
async def page(call: Call) -> web.Response:
    """The messages in the inbox of the token's contact, newest first."""
    query: InboxQuery = call.query
    found = await call.services.inbox.page(_token(call, query.token), query.cursor, query.limit)
    return answer(found, headers={"Cache-Control": "no-store"})


@route("POST", "/v1/inbox/{id}/read", scope=PUBLIC, answers={200: shapes.Retried}, query=TokenQuery, cors=True)
async def read(call: Call) -> web.Response:
    """A message was read: it becomes a `message.opened`, once however often this is said."""
    query: TokenQuery = call.query
    if not await call.services.inbox.read(_token(call, query.token), call.path("id")):
        raise Refused("message.unknown", "There is no such message in this inbox.", status=404)
    return answer(shapes.Retried(call.path("id")))


@route("GET", "/v1/inbox/stream", scope=PUBLIC, answers={200: STREAM}, query=StreamQuery, cors=True)
async def stream(call: Call) -> web.StreamResponse:
    """What comes into the inbox, as server-sent events: each an item of the list, with its place as the event's id.

    After a break a browser says by `Last-Event-ID` how far it has come, and misses nothing. It ends with the token.
    """
    query: StreamQuery = call.query
    batches = await call.services.inbox.follow(_token(call, query.token), _place(call.request, query.after))
    headers = {"Content-Type": STREAM, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    response = web.StreamResponse(headers=headers)
    if "Origin" in call.request.headers:
        allow_origin(call.request, response)
    try:
        await response.prepare(call.request)
        if call.request.method == "HEAD":
            return response
        head = b"retry: %d\n" % RETRY  # with an event, as signs of life without an empty line: some take either for one
        async for items in batches:
            events: list[bytes] = []
            for item in items:
                events.append(b"%sid: %s\ndata: %s\n\n" % (head, item.place.encode(), msgspec.json.encode(item)))
                head = b""
            await response.write(b"".join(events) or b":\n")
    except ConnectionError:  # whoever followed is gone
        pass
    finally:
        await batches.aclose()
    return response


def _token(call: Call, given: str) -> str:
    kind, _, value = call.request.headers.get("Authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else given


def _place(request: web.Request, after: int) -> int:
    """Browsers say it after a break, with the address that they had at first."""
    last = request.headers.get("Last-Event-ID", "")
    if not last:
        return after
    if not (last.isascii() and last.isdigit()) or len(last) > 16:
        raise Refused("request.query", "Last-Event-ID is no id of an event.", "Send the id of the last one, or none.")
    return int(last)
