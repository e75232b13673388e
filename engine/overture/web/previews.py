"""What a template says, before anybody is written to."""

from __future__ import annotations

import msgspec
from aiohttp import web

from overture.model import Refused
from overture.trial.preview import Preview
from overture.web.previewed import PreviewRequest
from overture.web.routing import Call, answer, route

_CAP = 1024 * 1024
_decode = msgspec.json.Decoder(PreviewRequest).decode


@route(
    "POST",
    "/v1/templates/preview",
    scope="contacts:read",
    answers={200: Preview},
    takes={"application/json": PreviewRequest},
)
async def preview(call: Call) -> web.Response:
    """What a template says, with the data of a contact, given data, or made-up data; nothing is sent.

    With `unsent` the message would not be sent, and why. `findings` are warnings about what came out.
    """
    body = await call.bodies.read(call.request, _CAP)
    try:
        asked = _decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        hint = 'Send {"template": "…", "ruleset": "…"}, or "document" in place of "ruleset".'
        raise Refused("preview.malformed", f"This is no request for a preview: {error}.", hint) from None
    finally:
        call.bodies.release(body)
    return answer(await call.services.previews.preview(asked), headers={"Cache-Control": "no-store"})
