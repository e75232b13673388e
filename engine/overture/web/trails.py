"""The image that tells that a mail was opened, and the links in mails that lead over this server."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from aiohttp import web

from overture.delivery.links import CLICKED, OPENED
from overture.model import Refused
from overture.web import pages
from overture.web.routing import HTML, PUBLIC, Call, route

GIF = bytes.fromhex("47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b")
_HEADERS = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex", "X-Content-Type-Options": "nosniff"}
_KEPT = "%/:=&?~#+!$,;'@()*[]|"  # of an address: what it is made of stays


@route("GET", OPENED + "{token}.gif", scope=PUBLIC, answers={200: "image/gif", 404: "image/gif"})
async def opened(call: Call) -> web.Response:
    """An image of one pixel that a mail carries where openings are asked for: it becomes a `message.opened`."""
    known = True
    if call.request.method != "HEAD":
        known = call.services.trails.opened(call.path("token"), call.request.headers.get("User-Agent", ""))
    return web.Response(status=200 if known else 404, body=GIF, content_type="image/gif", headers=_HEADERS)


@route("GET", CLICKED + "{token}", scope=PUBLIC, answers={302: HTML, 404: HTML})
async def clicked(call: Call) -> web.Response:
    """A link in a mail: it leads to where its author wrote, and becomes a `message.clicked`.

    Where it leads is signed in the link, never taken from the request. `HEAD` is no click.
    """
    trails, token = call.services.trails, call.path("token")
    try:
        if call.request.method == "HEAD":
            target = trails.target(token)
        else:
            target = await trails.clicked(token, call.request.headers.get("User-Agent", ""))
    except Refused as error:
        return pages.problem(error.status, error.code, error.message, error.hint)
    where = quote(target, _KEPT)
    text = f'<a href="{escape(where)}">It is here</a>'  # for whoever is not led on by itself
    return web.Response(status=302, headers={**_HEADERS, "Location": where}, text=text, content_type=HTML)
