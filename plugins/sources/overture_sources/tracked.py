"""Calls of the Segment family (track, identify, page, screen, group, alias) as facts; RudderStack speaks the same.

Everything in a fact follows from the call alone: who sends one again, with another ``sentAt``, sends the same fact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from overture.plugin import Answer, Endpoint, Incoming, NoFact, Posted, agent_of
from overture_sources import normal
from overture_sources.bodies import json_of, listed, no_object
from overture_sources.normal import UTM, campaign_of, email_of, id_of, parted, type_of
from overture_sources.reports import at_text, fact_id, table, text

CALLS = ("track", "identify", "page", "screen", "group", "alias")
SHORT = {"t": "track", "i": "identify", "p": "page", "s": "screen", "g": "group", "a": "alias", "b": "batch"}
DONE = Answer(body={"success": True})

_PAGE = ("path", "url", "title", "referrer", "search")


def endpoints(prefix: str) -> list[Endpoint]:
    """The paths to which the libraries post, below a prefix."""
    names = ("batch", *CALLS, *SHORT)
    return [Endpoint(method="POST", path=f"{prefix}/v1/{name}", browser=True) for name in names]


async def read(request: Incoming) -> Posted:
    """What a library posted to one of `endpoints`. Raises `Refuse` where it is no JSON object."""
    return await normal.beside(len(request.inflated), lambda: _read(request))


def _read(request: Incoming) -> Posted:
    body = json_of(request.inflated)
    if not isinstance(body, dict):
        raise no_object()
    said: Mapping[str, Any] = body
    last = request.endpoint.rsplit("/", 1)[1]
    call = SHORT.get(last, last)
    if call != "batch":
        messages: Sequence[Any] = [{**said, "type": call}]
    else:
        around = normal.cut(table(said.get("context")))  # each message gets a copy
        messages = [_within(message, around) for message in listed(said.get("batch"), "batch")]
    facts, refused = parted(fact(message, text(said.get("sentAt")), request.at) for message in messages)
    return Posted(facts=facts, refused=refused, answer=DONE, key=_key(said, messages, request))


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
    kind = type_of(said.get("event")) if call == "track" else _TYPES.get(call, call)
    id = ""
    if own := text(said.get("messageId")):
        # The libraries of both call themselves the same; only those of RudderStack say by which channel.
        id = fact_id("rudderstack" if "channel" in said else "segment", own)
    when = said.get("timestamp") or said.get("originalTimestamp")
    if when is not None:
        when = normal.instant(when, at_text(text(said.get("sentAt")) or sent), at)
    agent = agent_of(text(context.get("userAgent")))  # as browsers' libraries have it
    context = agent.told() | context
    properties = _properties(call, said, context) | ({"machine": True} if agent.machine and call != "identify" else {})
    return normal.fact(kind, _contact(call, said), properties, context | _kept(call, said), id=id, occurred_at=when)


_TYPES = {"page": "page_viewed", "screen": "screen_viewed"}


def _contact(call: str, said: Mapping[str, Any]) -> dict[str, str]:
    """Who. Only ``identify`` and ``alias`` say that two identifiers are one person's."""
    user, anonymous = id_of(said.get("userId")), id_of(said.get("anonymousId"))
    if call == "alias":
        anonymous = id_of(said.get("previousId")) or anonymous
    elif call != "identify" and user:
        anonymous = ""
    email = email_of(_traits(said).get("email")) if call == "identify" else ""
    return {"user_id": user, "anonymous_id": anonymous, "email": email}


def _traits(said: Mapping[str, Any]) -> dict[str, Any]:
    """RudderStack's libraries for browsers and phones have them in the context."""
    return {**table(table(said.get("context")).get("traits")), **table(said.get("traits"))}


def _properties(call: str, said: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    if call == "identify":
        return _traits(said)
    if call == "group":
        return {"group_id": id_of(said.get("groupId"))}
    if call == "alias":
        return {"previous_id": id_of(said.get("previousId"))}
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
        found = {name: text(campaign.get(_CAMPAIGN.get(name, name[4:]))) for name in UTM}
        return {name: value for name, value in found.items() if value}
    return campaign_of(url)


_CAMPAIGN = {"utm_campaign": "name"}


def _kept(call: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown with the fact and read by no rule."""
    kept: dict[str, Any] = {}
    if call == "track":
        kept["event"] = text(said.get("event"))
    if call == "group":
        kept["group"] = {"id": id_of(said.get("groupId")), "traits": table(said.get("traits"))}
    if call != "identify" and said.get("userId") and (anonymous := id_of(said.get("anonymousId"))):
        kept["anonymous_id"] = anonymous
    return kept
