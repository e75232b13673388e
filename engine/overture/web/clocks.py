"""The clock of a server that is there to try things out."""

from __future__ import annotations

import msgspec
from aiohttp import web

from overture.model import Refused
from overture.rules.durations import duration
from overture.web.clocked import Advance, ClockView
from overture.web.routing import Call, answer, route

BODY = 1024  # bytes

_decode = msgspec.json.Decoder(Advance).decode


@route("GET", "/v1/clock", scope="clock:read", answers={200: ClockView})
async def view(call: Call) -> web.Response:
    """What time it is on a server whose clock can be moved."""
    return answer(await call.services.clock.view())


@route(
    "POST",
    "/v1/clock",
    scope="clock:write",
    answers={200: ClockView, 202: ClockView},
    takes={"application/json": Advance},
)
async def advance(call: Call) -> web.Response:
    """Put the clock ahead, from one instant at which something is due to the next.

    Answered with 200 when it is there and all that was due is decided and handed over; with 202 after 20 seconds, while
    it goes on: `to` is null when it has ended.
    """
    body = await call.bodies.read(call.request, BODY)
    try:
        asked = _decode(body)
        ms = duration(asked.advance)
    except msgspec.DecodeError as error:
        raise _malformed(str(error)) from None
    finally:
        call.bodies.release(body)
    if not ms:
        raise _malformed("0 is no advance")
    told = await call.services.clock.advance(ms, jump=asked.jump)
    return answer(told, 202 if told.to else 200)


def _malformed(why: str) -> Refused:
    hint = 'Send {"advance": "3d"}: a number of s, m, h, d or w.'
    return Refused("clock.malformed", f"This does not say by how much: {why}.", hint, "/advance")
