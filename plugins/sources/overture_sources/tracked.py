"""Calls of the Segment family (track, identify, page, screen, group, alias) as facts; RudderStack speaks the same.

Everything in a fact follows from the call alone: who sends one again, with another ``sentAt``, sends the same fact.
"""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from overture.plugin import Answer, Endpoint, Incoming, NoFact, Posted, Refuse
from overture_sources.fitting import fitted
from overture_sources.names import LONGEST, snake
from overture_sources.reports import at_text, fact_id, table, text

CALLS = ("track", "identify", "page", "screen", "group", "alias")
SHORT = {"t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias", "b": "batch"}
DONE = Answer(body={"success": True})

_CAMPAIGN = ("source", "medium", "name", "term", "content")  # in ``context.campaign``
_PAGE = ("path", "url", "title", "referrer", "search")
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]+")
_MINUTE = 60_000  # ms
_BESIDE = 64 * 1024  # bytes from which a body is read beside the event loop
_VALUES, _TEXT = 220, 45_000  # that a fact may hold, less what is around them


def endpoints(prefix: str) -> list[Endpoint]:
    """The paths to which the libraries post, below a prefix."""
    names = ("batch", *CALLS, *SHORT)
    return [Endpoint(method="POST", path=f"{prefix}/v1/{name}", browser=True) for name in names]


async def read(request: Incoming) -> Posted:
    """What a library posted to one of `endpoints`. Raises `Refuse` where it is no JSON object."""
    body = request.inflated
    return await asyncio.to_thread(_read, request) if len(body) > _BESIDE else _read(request)


def _read(request: Incoming) -> Posted:
    try:
        body: Any = json.loads(request.inflated)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refuse("source.body", "The body is no JSON object.")
    said: Mapping[str, Any] = body
    last = request.endpoint.rsplit("/", 1)[1]
    call = SHORT.get(last, last)
    if call != "batch":
        messages: Sequence[Any] = [{**said, "type": call}]
    elif isinstance(said.get("batch"), list):
        around = table(said.get("context"))
        messages = [_within(message, around) for message in said["batch"]]
    else:
        raise Refuse("source.body", "The body has no batch.")
    made = [fact(message, text(said.get("sentAt")), request.at) for message in messages]
    return Posted(
        facts=[each for each in made if not isinstance(each, NoFact)],
        refused=[each for each in made if isinstance(each, NoFact)],
        answer=DONE,
        key=_key(said, messages, request),
    )


def _within(message: Any, around: Mapping[str, Any]) -> Any:
    if not around or not isinstance(message, dict):
        return message
    return {**message, "context": {**around, **table(message.get("context"))}}


def _key(body: Mapping[str, Any], messages: Sequence[Any], request: Incoming) -> str:
    of_first = table(messages[0]).get("writeKey") if messages else None
    return text(body.get("writeKey")) or text(request.query.get("writeKey")) or text(of_first)


def fact(message: Any, sent: str, at: int) -> dict[str, Any] | NoFact:
    """One call as a fact. ``sent``: ``sentAt`` of what it came in; ``at``: when that came (ms)."""
    if not isinstance(message, dict):
        return NoFact(message, "source.unread", "It is no JSON object.")
    said: Mapping[str, Any] = message
    call = said.get("type")
    if call not in CALLS:
        return NoFact(message, "source.unread", f"It is of no type that is known: {', '.join(CALLS)}.")
    context = {name: value for name, value in table(said.get("context")).items() if name != "traits"}
    properties = _properties(call, said, context)
    given = {"properties": properties, "context": context | _kept(call, said)}
    fit = fitted(given, values=_VALUES, spent=_TEXT)
    if fit != given:
        fit["context"]["cut"] = True
    made: dict[str, Any] = {"type": _type(call, said), "contact": _contact(call, said), **fit}
    if own := text(said.get("messageId")):
        # The libraries of both call themselves the same; only those of RudderStack say by which channel.
        made["id"] = fact_id("rudderstack" if "channel" in said else "segment", own)
    if (when := said.get("timestamp") or said.get("originalTimestamp")) is not None:
        made["occurred_at"] = _instant(when, text(said.get("sentAt")) or sent, at)
    return made


def _type(call: str, said: Mapping[str, Any]) -> str:
    if call != "track":
        return {"page": "page_viewed", "screen": "screen_viewed"}.get(call, call)
    plain = unicodedata.normalize("NFKD", text(said.get("event"))).encode("ascii", "ignore").decode()
    name = snake(plain)
    return (name if name[:1].isalpha() else f"track_{name}".rstrip("_"))[:LONGEST].rstrip("_")


def _contact(call: str, said: Mapping[str, Any]) -> dict[str, str]:
    """Who. Only ``identify`` and ``alias`` say that two identifiers are one person's."""
    user, anonymous = _id(said.get("userId")), _id(said.get("anonymousId"))
    if call == "alias":
        anonymous = _id(said.get("previousId")) or anonymous
    elif call != "identify" and user:
        anonymous = ""
    email = text(_traits(said).get("email")).strip() if call == "identify" else ""
    ids = {"user_id": user, "anonymous_id": anonymous, "email": email if _EMAIL.fullmatch(email) else ""}
    return {name: value for name, value in ids.items() if value}


def _id(value: object) -> str:
    return text(value).strip()


def _traits(said: Mapping[str, Any]) -> dict[str, Any]:
    """RudderStack's libraries for browsers and phones have them in the context."""
    return {**table(table(said.get("context")).get("traits")), **table(said.get("traits"))}


def _properties(call: str, said: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    if call == "identify":
        return _traits(said)
    if call == "group":
        return {"group_id": _id(said.get("groupId"))}
    if call == "alias":
        return {"previous_id": _id(said.get("previousId"))}
    page = table(context.get("page"))
    more: dict[str, Any] = {}
    if call == "page":
        more |= {name: page[name] for name in _PAGE if name in page}
    if call != "track":
        more |= {name: said[name] for name in ("category", "name") if said.get(name)}
    own = table(said.get("properties"))
    return _campaign(context, text(own.get("url")) or text(page.get("url"))) | more | dict(own)


def _campaign(context: Mapping[str, Any], url: str) -> dict[str, str]:
    """``utm_…``, as the library read them, else from the address of the page."""
    if campaign := table(context.get("campaign")):
        found = {f"utm_{'campaign' if name == 'name' else name}": text(campaign.get(name)) for name in _CAMPAIGN}
        return {name: value for name, value in found.items() if value}
    if "utm_" not in url:
        return {}
    try:
        query = parse_qsl(urlsplit(url).query, max_num_fields=100)
    except ValueError:
        return {}
    known = {f"utm_{'campaign' if name == 'name' else name}" for name in _CAMPAIGN}
    return {name: value for name, value in query if name in known}


def _kept(call: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown with the fact and read by no rule."""
    kept: dict[str, Any] = {}
    if call == "track":
        kept["event"] = text(said.get("event"))
    if call == "group":
        kept["group"] = {"id": _id(said.get("groupId")), "traits": table(said.get("traits"))}
    if call != "identify" and said.get("userId") and (anonymous := _id(said.get("anonymousId"))):
        kept["anonymous_id"] = anonymous
    return kept


def _instant(when: object, sent: str, at: int) -> object:
    """When it happened. A clock that is ahead is put right by whole minutes, so that a call that is sent again says the
    same; one that is behind cannot be told from what was long under way.
    """
    moment, said_now = at_text(when), at_text(sent)
    if moment is None:
        return when
    ahead = 0 if said_now is None else int(said_now.timestamp() * 1000) - at
    if ahead < _MINUTE:
        return moment.isoformat()
    try:
        return (moment - timedelta(milliseconds=ahead // _MINUTE * _MINUTE)).isoformat()
    except OverflowError:  # the year 1: refused in any case
        return when
