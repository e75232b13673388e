"""What source plugins answer: each request is read by the source, its facts go the way of all facts."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping

import msgspec
from aiohttp import web

from overture.intake import Caps
from overture.intake.inflate import inflate
from overture.model import Refused, clock
from overture.plugin.listening import HostedPush
from overture.plugin.sources import Answer, Endpoint, Incoming, Posted
from overture.web import problem
from overture.web.auth import authorize, granted
from overture.web.body import Bodies
from overture.web.facts import read_facts, summary
from overture.web.metrics import LATENCY, REQUESTS
from overture.web.routing import allow_origin, preflight
from overture.web.services import Services

SCOPE = "facts:write"
_encode = msgspec.msgpack.Encoder(enc_hook=str).encode


def pattern(path: str) -> str:
    """A path with all its names made one: where two are the same, they take the same requests."""
    return re.sub(r"\{\w+\}", "{}", path.rstrip("/"))


def add_sources(app: web.Application, services: Services, bodies: Bodies) -> None:
    """Mount the endpoints of the open sources below the server's own routes."""
    asked: set[str] = set()
    for source in services.plugins.sources:
        for path, endpoint in source.endpoints:
            taking = re.sub(r"\{(\w+)\}", r"{\1:[^/]+}", path)
            app.router.add_route(endpoint.method, taking, _mounted(source, endpoint, path, services, bodies))
            if endpoint.browser and pattern(path) not in asked:
                asked.add(pattern(path))
                app.router.add_route("OPTIONS", taking, preflight)


def _mounted(
    source: HostedPush, endpoint: Endpoint, path: str, services: Services, bodies: Bodies
) -> Callable[[web.Request], Awaitable[web.Response]]:
    observe = LATENCY.labels(endpoint.method, path).observe

    async def handle(request: web.Request) -> web.Response:
        started = time.perf_counter()
        try:
            response = await _answered(request, source, endpoint, services, bodies)
        except Exception as error:
            response = problem.of(error)
            if response.status in (408, 413):
                response.force_close()
        if endpoint.browser and "Origin" in request.headers:
            allow_origin(request, response)
        REQUESTS.labels(endpoint.method, path, str(response.status)).inc()
        observe(time.perf_counter() - started)
        return response

    return handle


async def _answered(
    request: web.Request, source: HostedPush, endpoint: Endpoint, services: Services, bodies: Bodies
) -> web.Response:
    by_header = endpoint.proof == "key" and "Authorization" in request.headers
    sender = authorize(request, services.keys, SCOPE).name if by_header else ""
    body = await bodies.read(request, endpoint.most)
    try:
        caps = Caps(body=max(endpoint.most, Caps().body))
        encoding = request.headers.get("Content-Encoding", "")
        inflated = await asyncio.to_thread(inflate, body, encoding, caps) if body else b""
        now = clock.now()
        said = await source.parse(_incoming(request, endpoint, body, inflated, now))
        if isinstance(said, Answer):
            return _response(said)
        if endpoint.proof == "source":
            sender = source.name
        elif not sender:
            sender = granted(said.key, services.keys, SCOPE).name
        await _take(said, source.name, sender, services, now)
        return _response(said.answer)
    finally:
        bodies.release(body)


async def _take(posted: Posted, source: str, sender: str, services: Services, now: int) -> None:
    """All are on disk, or refused and recorded."""
    given: list[object] = list(posted.facts)
    if not given:
        return
    try:
        packed = _encode(given)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        hint = "Nothing of the request was taken."
        raise Refused("source.failing", f"The source {source} made no fact: {error}.", hint, status=503) from None
    parsed = await read_facts(packed, now, "", "application/msgpack")
    receipts = (
        await services.facts.accept(parsed.drafts, source=sender, backfill=posted.backfill, wait=False, now=now)
        if parsed.drafts
        else []
    )
    if refused := summary(parsed, receipts, False).rejected:
        await services.plugins.record(source, refused, given, now)


def _incoming(request: web.Request, endpoint: Endpoint, body: bytes, inflated: bytes, now: int) -> Incoming:
    headers: Mapping[str, str] = {name.lower(): value for name, value in request.headers.items()}
    return Incoming(
        method=request.method,
        endpoint=endpoint.path,
        parts=dict(request.match_info),
        query=dict(request.query),
        headers=headers,
        body=body,
        inflated=inflated,
        at=now,
        peer=request.remote or "",
    )


def _response(answer: Answer) -> web.Response:
    body = answer.body if isinstance(answer.body, bytes) else msgspec.json.encode(answer.body)
    headers = {**answer.headers, "Content-Type": answer.content_type}
    return web.Response(status=answer.status, body=body, headers=headers)
