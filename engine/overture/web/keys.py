"""API keys: which there are, another one, and one less."""

from __future__ import annotations

import re

import msgspec
from aiohttp import web

from overture.model import Refused
from overture.model.fact import TYPE_NAME
from overture.web.keyed import KeyView, MadeKey, NewKey
from overture.web.routing import Call, answer, route

BODY = 16 * 1024  # bytes
_ORIGIN = re.compile(r"https?://[^\s/@?#]+")
_decode = msgspec.json.Decoder(NewKey).decode


@route("GET", "/v1/keys", scope="keys:read", answers={200: list[KeyView]})
async def every(call: Call) -> web.Response:
    """The keys there are, by name, with what each may do; never the keys themselves."""
    return answer(call.services.key_ring.views())


@route("POST", "/v1/keys", scope="keys:write", answers={201: MadeKey}, takes={"application/json": NewKey})
async def make(call: Call) -> web.Response:
    """Make a key. It is in this answer and nowhere else."""
    body = await call.bodies.read(call.request, BODY)
    try:
        new = _decode(body)
    except msgspec.DecodeError as error:
        raise Refused("key.malformed", f"This describes no key: {error}.", 'Send {"name": "shop"}.') from None
    finally:
        call.bodies.release(body)
    if new.kind != "browser" and (new.types or new.origins):
        raise Refused("key.malformed", "Types and origins are for keys of web pages.", 'Leave them out, or "kind".')
    for each in new.origins:
        if not _ORIGIN.fullmatch(each):
            raise Refused("key.malformed", f"{each!r} is no origin.", "Write https://shop.example.com, no path.")
    for each in new.types:
        if not TYPE_NAME.fullmatch(each):
            raise Refused("key.malformed", f"{each!r} is no type of facts.", "Write page_viewed.")
    return answer(MadeKey(new.name, await call.services.key_ring.make(new)), 201, {"Cache-Control": "no-store"})


@route("DELETE", "/v1/keys/{name}", scope="keys:write", answers={204: None})
async def revoke(call: Call) -> web.Response:
    """Revoke a key; the other processes of the server notice within seconds."""
    if not await call.services.key_ring.revoke(call.path("name")):
        raise Refused("key.unknown", "There is no key of this name.", status=404)
    return web.Response(status=204)
