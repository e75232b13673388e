"""Facts come in here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from typing import Any

from aiohttp import web
from msgspec import UNSET, UnsetType

from overture.intake import Caps, Parsed, parse, refused
from overture.intake.cloudevents import IS_EVENT, attributes
from overture.intake.inflate import GZIP, inflate
from overture.intake.parse import Rejection
from overture.model import Refused, clock
from overture.web import metrics, shapes
from overture.web.routing import Call, answer, route
from overture.web.services import Receipt

CAPS = Caps()
_INLINE = 16 * 1024  # a body up to here is read where it is, in well under a millisecond
_INLINE_COMPRESSED = 2 * 1024  # deflate expands at most a thousandfold

# One thread: inflated bodies then exist one at a time. While it works, small facts go on.
_reader = ThreadPoolExecutor(1, "overture-intake")
_MEDIA = {
    "application/json": shapes.FactBody | list[shapes.FactBody],
    "application/x-ndjson": str,
    "application/msgpack": bytes,
    "application/cloudevents+json": dict[str, Any],
    "application/cloudevents-batch+json": list[dict[str, Any]],
}


@route(
    "POST",
    "/v1/facts",
    scope="facts:write",
    answers={200: shapes.FactsAnswer},
    query=shapes.FactsQuery,
    takes=_MEDIA,
    cors=True,
)
async def post(call: Call) -> web.Response:
    """Take facts: one, a JSON array, NDJSON or msgpack, plain or gzip; or CloudEvents 1.0, also in binary mode.

    Answered once they are on disk. A bad fact in a batch is in `rejected` and does not touch the others; a bad fact
    sent alone is an error. A fact with an id that was taken before is a duplicate; with another body, a conflict.
    """
    query: shapes.FactsQuery = call.query
    body = await call.bodies.read(call.request, CAPS.body)
    call.services.sharing.came()
    try:
        now = clock.now()
        parsed = await _parse(call.request, body, now)
        if parsed.single and parsed.rejected:
            raise _alone(parsed.rejected[0])
        call.spend(len(parsed.drafts) + len(parsed.rejected) - 1)
        receipts = (
            await call.services.facts.accept(
                parsed.drafts, source=call.source, backfill=query.backfill, wait=query.wait, now=now
            )
            if parsed.drafts
            else []
        )
    finally:
        call.bodies.release(body)
    return answer(summary(parsed, receipts, query.wait))


@route(
    "POST",
    "/v1/decide",
    scope="facts:write",
    answers={200: shapes.DecideAnswer},
    takes={"application/json": shapes.FactBody},
    cors=True,
)
async def decide(call: Call) -> web.Response:
    """Take one fact and answer with what was decided, once that is committed.

    With `choices` it answers which variant of each to show the contact now, and the impression is recorded with the
    fact: once, however often it is sent.
    """
    body = await call.bodies.read(call.request, CAPS.fact)
    call.services.sharing.came()
    try:
        now = clock.now()
        parsed = await _parse(call.request, body, now)
        if not parsed.single:
            raise Refused(
                "decide.one_fact", "This takes one fact, not a batch.", "Post batches to /v1/facts?wait=true."
            )
        if parsed.rejected:
            raise _alone(parsed.rejected[0])
        (receipt,) = await call.services.facts.accept(
            parsed.drafts, source=call.source, backfill=False, wait=True, now=now
        )
    finally:
        call.bodies.release(body)
    status = "duplicate" if summary(parsed, [receipt], True).duplicates else "accepted"
    decision = receipt.decision
    chosen: dict[str, Any] | UnsetType = UNSET
    if names := parsed.drafts[0].choices:
        if decision is not None:
            chosen = decision.pop("choices", {})
        else:  # what it was shown when the fact was decided, if that was so already
            contact = await call.services.contacts.find(receipt.contact)
            chosen = await call.services.choices.kept(contact, names)
    return answer(shapes.DecideAnswer(receipt.id, status, receipt.contact, decision, chosen))


async def _parse(request: web.Request, body: bytes, now: int) -> Parsed:
    headers = request.headers
    event = attributes(headers) if IS_EVENT in headers else None
    encoding, content_type = headers.get("Content-Encoding", ""), headers.get("Content-Type", "").lower()
    return await read_facts(body, now, encoding, content_type, event=event)


async def inflated(body: bytes, encoding: str, caps: Caps) -> bytes:
    """As `overture.intake.inflate`, a large compressed body beside the loop."""
    if len(body) <= _INLINE_COMPRESSED or not (encoding or body.startswith(GZIP)):
        return inflate(body, encoding, caps)
    return await asyncio.get_running_loop().run_in_executor(_reader, inflate, body, encoding, caps)


async def read_facts(
    body: bytes,
    now: int,
    encoding: str,
    content_type: str,
    caps: Caps = CAPS,
    event: Mapping[str, str] | None = None,
) -> Parsed:
    """As `overture.intake.parse`, a large body beside the loop; what is refused is counted."""
    try:
        compressed = encoding or body.startswith(GZIP)
        if len(body) <= (_INLINE_COMPRESSED if compressed else _INLINE):
            parsed = parse(body, now, caps, encoding, content_type, event)
        else:
            loop = asyncio.get_running_loop()
            parsed = await loop.run_in_executor(_reader, parse, body, now, caps, encoding, content_type, event)
    except Refused as e:
        metrics.FACTS.labels("rejected", e.code).inc()
        raise
    for rejection in parsed.rejected:
        metrics.FACTS.labels("rejected", rejection.code).inc()
    return parsed


def _alone(rejection: Rejection) -> Refused:
    return refused(rejection.code, rejection.message, rejection.pointer)


def summary(parsed: Parsed, receipts: list[Receipt], waited: bool) -> shapes.FactsAnswer:
    """Raises Refused 409 for a conflict of a fact sent alone."""
    size = len(parsed.drafts) + len(parsed.rejected)
    ids: list[str | None] = [None] * size
    decisions: list[dict[str, Any] | None] = [None] * size
    rejected = list(parsed.rejected)
    accepted = duplicates = 0
    for index, receipt in zip(parsed.indexes, receipts, strict=True):
        if receipt.status == "conflict":
            metrics.FACTS.labels("rejected", "fact.id_conflict").inc()
            conflict = refused("fact.id_conflict", pointer="/id")
            if parsed.single:
                raise conflict
            rejected.append(Rejection(index, conflict.code, conflict.message, conflict.pointer))
            continue
        if receipt.status == "unredacted":
            metrics.FACTS.labels("rejected", "fact.unredacted").inc()
            rejected.append(Rejection(index, "fact.unredacted", refused("fact.unredacted").message, ""))
            continue
        if receipt.status == "accepted":
            accepted += 1
        else:
            duplicates += 1
        ids[index] = receipt.id
        decisions[index] = receipt.decision
    rejected.sort(key=attrgetter("index"))
    if accepted:
        metrics.accepted(accepted)
    if duplicates:
        metrics.duplicates(duplicates)
    return shapes.FactsAnswer(accepted, duplicates, rejected, ids, decisions if waited else UNSET)
