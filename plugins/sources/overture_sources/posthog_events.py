"""Events of PostHog's libraries as facts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from overture.plugin import NoFact
from overture_sources import normal
from overture_sources.normal import campaign_of, email_of, id_of, type_of
from overture_sources.reports import fact_id, table, text

TYPES = {
    "$pageview": "page_viewed", "$pageleave": "page_left", "$screen": "screen_viewed", "$identify": "identify",
    "$create_alias": "alias", "$groupidentify": "group",
}  # fmt: skip

_PAGE = {"path": "$pathname", "url": "$current_url", "title": "title", "referrer": "$referrer"}
_OURS = ("token", "distinct_id", "$set", "$set_once", "$anon_distinct_id", "$groups")
_MADE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")  # as its library for browsers does
NOBODY = "It has no event, or is about nobody: a group, or a visitor without an id."


def facts_of(event: Any, sent: datetime | None, at: int) -> list[dict[str, Any] | NoFact]:
    """An event as facts: what it says about the person, then what happened. ``sent``: when that was sent, by the
    sender's clock; ``at``: when it came (ms).
    """
    said = table(event)
    name, own = text(said.get("event")), {**_apart(said), **table(said.get("properties"))}
    distinct = id_of(said.get("distinct_id")) or id_of(own.get("distinct_id"))
    if not name or not distinct or distinct.startswith("$"):
        return [NoFact(event, "source.unread", NOBODY)]
    key = text(said.get("uuid")) or text(own.get("$insert_id"))
    when = said.get("timestamp")
    when = None if when is None else normal.instant(when, sent, at)
    traits = {**table(own.get("$set")), **table(said.get("$set"))}
    once = {**table(own.get("$set_once")), **table(said.get("$set_once"))}
    once = {trait: value for trait, value in once.items() if trait not in traits}
    contact = _contact(name, distinct, own)
    context = {each: value for each, value in own.items() if each[:1] == "$" and each not in _OURS}

    def made(kind: str, properties: Mapping[str, Any], more: Mapping[str, Any], part: str = "") -> dict[str, Any]:
        who = contact | {"email": email_of(properties.get("email")) if kind == "identify" else ""}
        id = fact_id("posthog", f"{key}{part}") if key else ""
        return normal.fact(kind, who, properties, {"event": name, **more}, id=id, occurred_at=when)

    found: list[dict[str, Any] | NoFact] = []
    if traits and name != "$identify":
        found.append(made("identify", traits, {}, "" if name == "$set" else ":set"))
    if once:
        found.append(made("identify", once, {"form": {"fixed": list(once)}}, ":once"))  # told where nothing is known
    if name == "$identify":
        return [made("identify", traits, context), *found]
    if name not in ("$set", "$set_once"):
        found.append(made(TYPES.get(name) or type_of(name), _properties(name, distinct, own), context | _kept(own)))
    return found


def _apart(said: Mapping[str, Any]) -> dict[str, Any]:
    """What the newer protocol has beside the properties, under the names that it had among them."""
    apart = {**table(said.get("options")), **{each: said[each] for each in ("session_id", "window_id") if each in said}}
    return {f"${name}": value for name, value in apart.items()}


def _properties(name: str, distinct: str, own: Mapping[str, Any]) -> dict[str, Any]:
    if name == "$groupidentify":
        return {"group_id": id_of(own.get("$group_key")), "group_type": text(own.get("$group_type"))}
    if name == "$create_alias":
        return {"previous_id": _contact(name, distinct, own)["anonymous_id"]}
    said: dict[str, Any] = {each: own[each] for each in own if each[:1] != "$" and each not in _OURS}
    if groups := table(own.get("$groups")):
        said["groups"] = groups
    if name == "$screen":
        said["name"] = text(own.get("$screen_name"))
    if name in ("$pageview", "$pageleave"):
        said |= {each: own[theirs] for each, theirs in _PAGE.items() if theirs in own and each not in said}
    if name == "$pageleave" and "$prev_pageview_duration" in own:
        said["dwell"] = own["$prev_pageview_duration"]
    return campaign_of(text(own.get("$current_url"))) | {each: v for each, v in said.items() if v is not None}


def _kept(own: Mapping[str, Any]) -> dict[str, Any]:
    return {"group": {"id": own["$group_key"], "traits": own.get("$group_set")}} if "$group_key" in own else {}


def _contact(name: str, distinct: str, own: Mapping[str, Any]) -> dict[str, str]:
    """Who. PostHog has one kind of id; which of them no app gave, its libraries say besides."""
    if name == "$identify":
        return {"user_id": distinct, "anonymous_id": id_of(own.get("$anon_distinct_id"))}
    if name == "$create_alias":
        # Which of the two is the person's name, each library has the other way round: what none would give is not.
        user, other = id_of(own.get("alias")), distinct
        if _MADE.fullmatch(user) or (text(own.get("$lib")) == "posthog-node" and not _MADE.fullmatch(distinct)):
            user, other = other, user
        return {"user_id": user, "anonymous_id": other}
    known = own.get("$is_identified")
    nobody = known is False or (own.get("$process_person_profile") is False and known is None)
    return {"anonymous_id" if nobody or distinct == own.get("$device_id") else "user_id": distinct}
