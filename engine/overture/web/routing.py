"""A route says all about itself: who may call it, what it takes and answers. The OpenAPI document is made from that."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from overture.model import Refused
from overture.web import problem
from overture.web.auth import authorize
from overture.web.body import Bodies
from overture.web.metrics import LATENCY, REQUESTS
from overture.web.services import Grant, Services

PUBLIC = ""  # the scope of a route that needs no key
HTML = "text/html"  # in place of a type of JSON: the answer is a page
CORS_HEADERS = (  # what libraries for browsers send, some of them only where they try again
    "authorization, content-type, content-encoding, last-event-id, anonymousid, sentat, x-retry-count, sp-anonymous, "
    "rsa-recovered, rsa-retry-attempt, rsa-retry-reason, rsa-since-first-attempt, rsa-since-last-attempt"
)


class Call(msgspec.Struct, frozen=True):
    """One request as a handler sees it; ``query`` is of the type that the route declares."""

    request: web.Request
    services: Services
    bodies: Bodies
    grant: Grant | None  # of the caller's key, None where the route is public
    query: Any

    @property
    def source(self) -> str:
        """The name of the caller's key, empty where the route is public."""
        return self.grant.name if self.grant else ""

    def spend(self, facts: int) -> None:
        """Count facts against the rate of the caller's key, beside the one that the request counts as; raises as
        `Keys.spend`.
        """
        if self.grant is not None:
            self.services.keys.spend(self.grant, facts)

    def path(self, name: str) -> str:
        """A part of the path, percent-decoded."""
        return self.request.match_info[name]


Handler = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """``answers``: status → type of the body (None: plain text; a text: that media type). ``takes``: media type → type
    of the request's body.
    """

    method: str
    path: str
    scope: str
    handler: Handler
    answers: Mapping[int, Any]
    query: type[msgspec.Struct] | None = None
    takes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    cors: bool = False


def route(method: str, path: str, *, scope: str, answers: Mapping[int, Any], **more: Any) -> Callable[[Handler], Route]:
    """Makes a handler a `Route`; its docstring documents it. There is no default for ``scope``: deny by default."""

    def decorate(handler: Handler) -> Route:
        return Route(method, path, scope, handler, answers, **more)

    return decorate


def answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON response."""
    return web.Response(
        body=msgspec.json.encode(value), status=status, headers=headers, content_type="application/json"
    )


def mount(route: Route, services: Services, bodies: Bodies) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The aiohttp handler of a route: authorises, reads the query, turns errors into problems, measures."""
    handler, scope, query_type, keys = route.handler, route.scope, route.query, services.keys
    observe = LATENCY.labels(route.method, route.path).observe
    count = {status: REQUESTS.labels(route.method, route.path, str(status)).inc for status in route.answers}

    async def handle(request: web.Request) -> web.StreamResponse:
        started = time.perf_counter()
        try:
            grant: Grant | None = authorize(request, keys, scope) if scope else None
            query = query_of(request, query_type) if query_type else None
            response = await handler(Call(request, services, bodies, grant, query))
        except Exception as error:
            response = problem.of(error)
            if response.status in (408, 413):  # what is left of the body is not worth reading
                response.force_close()
        if route.cors and "Origin" in request.headers:
            allow_origin(request, response)
        status = response.status
        if (inc := count.get(status)) is None:
            inc = count[status] = REQUESTS.labels(route.method, route.path, str(status)).inc
        inc()
        observe(time.perf_counter() - started)
        return response

    return handle


def query_of(request: web.Request, kind: type[msgspec.Struct]) -> msgspec.Struct:
    """The query as a value of the type. Raises Refused 400 for what is unknown or wrong."""
    given = dict(request.query) if request.rel_url.raw_query_string else dict[str, str]()
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as e:
        known = ", ".join(kind.__struct_encode_fields__)
        raise Refused("request.query", f"The query is wrong: {e}.", f"Known parameters: {known}.") from None


def allow_origin(request: web.Request, response: web.StreamResponse) -> None:
    """Let the page that asks read the answer. ``null`` is anyone's sandboxed frame, so it is not an origin."""
    origin = request.headers["Origin"]
    response.headers["Vary"] = "Origin"
    if origin != "null":
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"


async def preflight(request: web.Request) -> web.Response:
    """The answer to a browser that asks before it posts."""
    response = web.Response(status=204)
    if "Origin" in request.headers:
        allow_origin(request, response)
        response.headers["Access-Control-Allow-Methods"] = "GET, POST"
        response.headers["Access-Control-Allow-Headers"] = CORS_HEADERS
        response.headers["Access-Control-Max-Age"] = "86400"
    return response
