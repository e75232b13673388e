"""Looking at models, and saying which version decides."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from overture.model import Refused
from overture.model.artefact import SIZE
from overture.web.modelled import Deciding, ModelState, Pin
from overture.web.routing import Call, answer, route

_CAP = 64 * 1024
_decode = msgspec.json.Decoder(Pin).decode


@route("GET", "/v1/models", scope="rulesets:read", answers={200: list[ModelState]})
async def every(call: Call) -> web.Response:
    """All models of the active rulesets: what decides, from how many examples it was learned, and how good it is."""
    return answer(await call.services.models.list())


@route(
    "PUT",
    "/v1/models/{ruleset}/{model}",
    scope="rulesets:deploy",
    answers={200: Deciding},
    takes={"application/json": dict[str, Any]},
)
async def put(call: Call) -> web.Response:
    """Let an artefact decide for every fact accepted from now on, such as one that `overture train` has made. It is
    pinned: what the server learns by itself does not replace it.
    """
    body = await call.bodies.read(call.request, SIZE)
    try:
        return answer(await call.services.models.put(_named(call), body))
    finally:
        call.bodies.release(body)


@route(
    "POST",
    "/v1/models/{ruleset}/{model}/pin",
    scope="rulesets:deploy",
    answers={200: Deciding},
    takes={"application/json": Pin},
)
async def pin(call: Call) -> web.Response:
    """Stay with a version, go back to an earlier one, or let what is learned decide again."""
    body = await call.bodies.read(call.request, _CAP)
    try:
        asked = _decode(body)
    except msgspec.DecodeError as error:
        message = f"The body does not say which version: {error}."
        raise Refused("model.malformed", message, 'Send {"pinned": true}, with "version" to go back.') from error
    finally:
        call.bodies.release(body)
    return answer(await call.services.models.pin(_named(call), asked))


def _named(call: Call) -> str:
    return f"{call.path('ruleset')}/{call.path('model')}"
