"""What source plugins answer: each request is read by the source, its facts go the way of all facts."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import web

from overture.intake import Caps, refused
from overture.intake.parse import Parsed, Rejection
from overture.model import Draft, Refused, clock
from overture.model.fact import REPORTED_TYPES
from overture.plugin.listening import HostedPush
from overture.plugin.sources import Answer, Endpoint, FactBody, Incoming, NoFact, Posted, Taken, Transform
from overture.web import problem
from overture.web.auth import TRACK, authorize, granted, tracks_only
from overture.web.body import Bodies
from overture.web.facts import CAPS, inflated, read_facts, summary
from overture.web.metrics import FACTS, LATENCY, REQUESTS
from overture.web.plugged import Unwanted
from overture.web.routing import allow_origin, preflight
from overture.web.services import Grant, Services

_REPORTS, _PUBLIC = Caps(own=REPORTED_TYPES), Caps(own=frozenset())
MANY = 500  # facts of a request
EACH = 3  # facts that an event may make: what it says of the person, and of the first time, besides
_encode = msgspec.msgpack.Encoder(enc_hook=str).encode
_ARRAY = b"\xdd"  # in msgpack, followed by how many
_UNENCODABLE: Mapping[type[Exception], str] = {
    UnicodeEncodeError: "fact.surrogate",
    OverflowError: "fact.number_range",
    RecursionError: "fact.too_deep",
}


def meet(one: str, other: str) -> bool:
    """Whether there is a request that both paths would take; a slash at the end makes no difference here."""
    parts, others = one.rstrip("/").split("/"), other.rstrip("/").split("/")
    return len(parts) == len(others) and all(
        a == b or a.startswith("{") or b.startswith("{") for a, b in zip(parts, others, strict=True)
    )


def add_sources(app: web.Application, services: Services, bodies: Bodies) -> None:
    """Mount the endpoints of the open sources below the server's own routes."""
    asked: set[str] = set()
    for source in services.plugins.sources:
        for path, endpoint in source.endpoints:
            taking = re.sub(r"\{(\w+)\}", r"{\1:[^/]+}", path)
            app.router.add_route(endpoint.method, taking, _mounted(source, endpoint, path, services, bodies))
            if endpoint.browser and taking not in asked:
                asked.add(taking)
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
            response = _problem(error)
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
    by_header = endpoint.proof == "key" and request.headers.get("Authorization", "") != ""
    grant = authorize(request, services.keys, TRACK) if by_header else None
    body = await bodies.read(request, endpoint.most)
    try:
        plain = await inflated(body, request.headers.get("Content-Encoding", ""), Caps(body=endpoint.most))
        with bodies.weighed(plain):
            return await _taken(request, source, endpoint, services, grant, body, plain)
    finally:
        bodies.release(body)


async def _taken(
    request: web.Request,
    source: HostedPush,
    endpoint: Endpoint,
    services: Services,
    grant: Grant | None,
    body: bytes,
    plain: bytes,
) -> web.Response:
    """``grant``: of the key in the header, if there is one."""
    now = clock.now()
    said = await source.parse(_incoming(request, source.name, endpoint, body, plain, now))
    if isinstance(said, Answer):
        return _response(said)
    reports = endpoint.proof == "source"
    if grant is None and not reports:
        key = said.key if isinstance(said, Posted) else ""
        grant = granted(key, services.keys, TRACK, request.headers.get("Origin", ""))
    if isinstance(said, Transform):
        said = await _transformed(said, source.name, services, now)
    await services.plugins.heard(source.plugin, source.name, said)
    response = _response(said.answer)
    if said.backfill and grant is not None and tracks_only(grant):
        raise Refused("auth.backfill", "Web pages have no recorded history.", "Use a write key.", status=403)
    sender = source.name if grant is None else grant.name
    if grant is not None:
        services.keys.spend(grant, len(said.facts) + len(said.refused) - 1)
    how: Any = {
        "backfill": said.backfill,
        "reports": reports,
        "unread": said.refused,
        "grant": grant,
        # Where one stands in the header, this may be any text.
        "key": said.key if services.keys.grant(said.key) is not None else "",
    }
    if len(said.facts) <= MANY:
        services.sharing.came()
        await take(said.facts, source.name, sender, services, now, **how)
    else:
        await in_pieces(said.facts, source.name, sender, services, now, **how)
    return response


async def _transformed(asked: Transform, source: str, services: Services, now: int) -> Posted:
    """The facts that a script makes of a request. What it makes none of is recorded, unless it is to be sent again;
    raises Refused with the reason.
    """
    try:
        facts = await services.scripts.transform(asked.script, asked.request, asked.seed, now)
    except Refused as error:
        if error.status < 500:
            await services.plugins.record(source, [Unwanted(error.code, error.message, "", asked.request)], now)
        raise
    return Posted(facts=facts, answer=asked.answer)


async def in_pieces(
    facts: Sequence[FactBody],
    source: str,
    sender: str,
    services: Services,
    now: int,
    *,
    unread: Sequence[NoFact] = (),
    **how: Any,
) -> Taken:
    """As `take`, with room for others in between. Where it raises, some may be on disk already."""
    if len(facts) > EACH * CAPS.facts:
        raise refused("body.too_many_facts", f"The request makes more than {EACH * CAPS.facts:,} facts.")
    accepted = duplicates = done = 0
    told: list[tuple[int, str, str]] = []
    async with services.sharing.pieces(facts) as pieces:
        async for piece in pieces:
            taken = await take(piece, source, sender, services, now, unread=() if done else unread, **how)
            accepted, duplicates = accepted + taken.accepted, duplicates + taken.duplicates
            told += [(done + index, code, message) for index, code, message in taken.refused]
            done += len(piece)
    return Taken(accepted, duplicates, told)


async def take(
    facts: Sequence[FactBody],
    source: str,
    sender: str,
    services: Services,
    now: int,
    *,
    backfill: bool,
    reports: bool,
    unread: Sequence[NoFact] = (),
    grant: Grant | None = None,
    key: str = "",
) -> Taken:
    """On return all are on disk, or refused and recorded. ``reports``: some may tell what became of messages;
    ``unread``: what the source itself made no fact of; ``grant``: of the ``key`` that they came with in the body.
    """
    given: list[object | Unwanted] = list(facts)
    if reports:
        given = await services.plugins.addressed(given)
    unwanted = [Unwanted(r.code, r.message, "", r.what) for r in unread]
    told: list[tuple[int, str, str]] = []
    accepted = duplicates = 0
    places = list[int]()
    kept, pieces = list[object](), list[bytes]()
    for index, fact in enumerate(given):
        if isinstance(fact, Unwanted):
            FACTS.labels("rejected", fact.code).inc()
            unwanted.append(fact)
            told.append((index, fact.code, fact.message))
            continue
        try:
            pieces.append(_encode(fact))
            kept.append(fact)
            places.append(index)
        except (TypeError, ValueError, RecursionError, OverflowError) as error:  # one must not stop the others
            why = refused(_UNENCODABLE.get(type(error), "fact.malformed"))
            unwanted.append(Unwanted(why.code, why.message, "", fact))
            told.append((index, why.code, why.message))
    if pieces:
        packed = _ARRAY + len(pieces).to_bytes(4, "big") + b"".join(pieces)
        public = grant if grant is not None and tracks_only(grant) else None
        caps = _REPORTS if reports else _PUBLIC if public else CAPS
        parsed = await read_facts(packed, now, "", "application/msgpack", caps)
        if public:
            parsed = await _claimed(parsed, public, services, now)
        receipts = (
            await services.facts.accept(parsed.drafts, source=sender, backfill=backfill, wait=False, now=now)
            if parsed.drafts
            else []
        )
        outcome = summary(parsed, receipts, False)
        accepted, duplicates = outcome.accepted, outcome.duplicates
        unwanted += [Unwanted(r.code, r.message, r.pointer, kept[r.index]) for r in outcome.rejected]
        told += [(places[r.index], r.code, r.message) for r in outcome.rejected]
    if unwanted:
        await services.plugins.record(source, unwanted, now, key)
    return Taken(accepted, duplicates, sorted(told))


async def _claimed(parsed: Parsed, grant: Grant, services: Services, now: int) -> Parsed:
    """What of it may come with a key that anybody can read."""
    drafts, indexes, rejected = list[Draft](), list[int](), list(parsed.rejected)
    admitted = await services.browsers.admit(parsed.drafts, grant, now)
    for index, each in zip(parsed.indexes, admitted, strict=True):
        if isinstance(each, Draft):
            drafts.append(each)
            indexes.append(index)
        else:
            FACTS.labels("rejected", each.code).inc()
            rejected.append(Rejection(index, each.code, each.message, each.pointer))
    return Parsed(drafts, indexes, rejected, False)


def _problem(error: Exception) -> web.Response:
    """With ``message`` besides: several libraries look for that, and take a problem without for a broken network."""
    response = problem.of(error)
    if isinstance(response.body, bytes):
        told = msgspec.json.decode(response.body)
        response.body = msgspec.json.encode({**told, "message": told["detail"]})
    return response


def _incoming(
    request: web.Request, source: str, endpoint: Endpoint, body: bytes, inflated: bytes, now: int
) -> Incoming:
    headers: Mapping[str, str] = {name.lower(): value for name, value in request.headers.items()}
    return Incoming(
        method=request.method,
        endpoint=endpoint.path,
        parts=dict(request.match_info),
        query=dict(request.query.items()),  # of several the last; dict() takes the first
        headers=headers,
        body=body,
        inflated=inflated,
        at=now,
        peer=request.remote or "",
        path=request.path,
        source=source,
    )


def _response(answer: Answer) -> web.Response:
    body = answer.body if isinstance(answer.body, bytes) else msgspec.json.encode(answer.body)
    headers = {**answer.headers, "Content-Type": answer.content_type}
    return web.Response(status=answer.status, body=body, headers=headers)
