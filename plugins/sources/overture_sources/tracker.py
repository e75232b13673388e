"""Overture's own tracking for web pages: the script ``/t.js``, and ``/t``, where it posts what happened."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from overture.plugin import (
    Agent,
    Answer,
    Endpoint,
    Incoming,
    NoFact,
    Posted,
    PushSourcePlugin,
    agent_of,
    hookimpl,
)
from overture_sources import normal
from overture_sources.bodies import json_of, listed
from overture_sources.reports import at_second, fact_id, table, text

CACHED = 3_600  # seconds for which browsers do not ask whether the script has changed
BODY = 2 * 2**20  # bytes; the script sends up to 20 facts at once


class TrackerConfig(BaseModel):
    """Nothing: pages say by themselves how they want it."""

    model_config = ConfigDict(extra="forbid")


class Script(NamedTuple):
    """The script as browsers get it."""

    plain: bytes
    packed: bytes
    tag: str


@cache
def script() -> Script:
    """Made from ``tracker.js``: comments, indentation and blanks beside punctuation are left away."""
    source = Path(__file__).with_name("tracker.js").read_text("utf-8")
    lines = (re.sub(r"(^|\s+)// .*$", "", line).strip() for line in source.splitlines())
    plain = re.sub(r"\s*([{}();,=<>?:&|+*!\[\]])\s*", r"\1", "".join(lines)).encode()
    return Script(plain, gzip.compress(plain, 9, mtime=0), f'"{sha256(plain).hexdigest()[:16]}"')


class Tracker:
    """Answers for the script, and reads what it posts."""

    def __init__(self, config: TrackerConfig) -> None: ...

    async def parse(self, request: Incoming) -> Posted | Answer:
        if request.method == "GET":
            return _served(request)
        return await normal.beside(len(request.inflated), lambda: _posted(request))

    async def close(self) -> None: ...


def _served(request: Incoming) -> Answer:
    made = script()
    headers = {
        "ETag": made.tag,
        "Cache-Control": f"public, max-age={CACHED}",
        "Vary": "Accept-Encoding",
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Content-Type-Options": "nosniff",
    }
    if made.tag in request.headers.get("if-none-match", ""):
        return Answer(status=304, body=b"", content_type="text/javascript", headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Answer(body=made.packed, content_type="text/javascript", headers={**headers, "Content-Encoding": "gzip"})
    return Answer(body=made.plain, content_type="text/javascript", headers=headers)


def _posted(request: Incoming) -> Posted:
    """Raises `Refuse` where the body is not what the script posts."""
    told: Mapping[str, Any] = table(json_of(request.inflated))
    events = listed(told.get("facts"), "facts")
    sent, agent = _instant(told.get("sent")), agent_of(text(told.get("agent")))
    facts, refused = normal.parted(_fact(each, sent, agent, request.at) for each in events)
    return Posted(facts=facts, refused=refused, key=text(told.get("key")))


def _fact(raw: object, sent: datetime | None, agent: Agent, now: int) -> dict[str, Any] | NoFact:
    """One event of the script. Which browser that is, it says itself: beacons have another header at times, and what is
    sent again must say the same.
    """
    said = table(raw)
    key, at = text(said.get("id")), _instant(said.get("at"))
    if not key or at is None:
        return NoFact(raw, "source.unread", "It has no id, or does not say when it happened.")
    properties = dict(table(said.get("properties")))
    kind = normal.type_of(said.get("type"))
    email = normal.email_of(properties.get("email")) if kind == "identify" else ""
    if kind.startswith("page_"):
        properties = normal.campaign_of(text(properties.get("url"))) | properties
    if agent.machine and kind != "identify":  # whose properties are traits
        properties["machine"] = True
    contact = {"user_id": normal.id_of(said.get("user")), "anonymous_id": normal.id_of(said.get("anonymous"))}
    when = normal.instant(at.isoformat(), sent, now)
    context = {"library": "t.js", **agent.told()}
    return normal.fact(kind, {**contact, "email": email}, properties, context, id=fact_id("t", key), occurred_at=when)


def _instant(ms: object) -> datetime | None:
    return at_second(ms / 1000) if isinstance(ms, int | float) and abs(ms) < 1e15 else None


@hookimpl
def overture_sources() -> Iterable[PushSourcePlugin[TrackerConfig]]:
    yield PushSourcePlugin(
        name="tracker",
        config=TrackerConfig,
        open=Tracker,
        endpoints=[
            Endpoint(method="GET", path="/t.js", proof="source"),
            Endpoint(method="POST", path="/t", browser=True, most=BODY),
        ],
    )
