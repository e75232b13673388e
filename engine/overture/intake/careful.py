"""The careful reader: takes every valid fact, and says of any other exactly what is wrong and where."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any, cast

import msgspec

from overture.intake import cloudevents, fields
from overture.intake.caps import Caps
from overture.intake.codes import clip, refused
from overture.intake.plain import escape, from_json, from_msgpack
from overture.model import Draft, Refused
from overture.model.fact import RESERVED_TYPES
from overture.model.ids import IDENTIFIERS, new_fact_id

_KEYS = ("id", "type", "contact", "occurred_at", "properties", "context", "choices")
_SAID_ELSEWHERE = {  # what other trackers call it
    "event": "type", "name": "type", "user_id": "contact", "userid": "contact", "anonymous_id": "contact",
    "anonymousid": "contact", "email": "contact", "timestamp": "occurred_at", "time": "occurred_at",
    "traits": "properties", "data": "properties", "messageid": "id", "uuid": "id",
}  # fmt: skip

_LEAP = re.compile(r"(.{17})60(?:\.[0-9]+)?(.*)", re.DOTALL)  # 23:59:60


def read_json(raw: bytes, now: int, caps: Caps) -> Draft:
    """The draft in one JSON text. Raises `Refused` with a ``fact.*`` code and a pointer into the fact."""
    return _draft(from_json(raw, caps), now, caps)


def read_msgpack(raw: bytes, now: int, caps: Caps) -> Draft:
    """The draft in one msgpack value. Raises `Refused` like `read_json`."""
    return _draft(from_msgpack(raw, caps), now, caps)


def read_event(event: Mapping[str, str], body: bytes, now: int, caps: Caps) -> Draft:
    """The draft in a CloudEvent in binary mode (`cloudevents.unpacked`). Raises `Refused` like `read_json`."""
    return _draft(cloudevents.unpacked(event, body, caps), now, caps)


def _draft(said: dict[str, Any], now: int, caps: Caps) -> Draft:
    if cloudevents.VERSION not in said:
        return _fact(said, now, caps)
    try:
        return _fact(cloudevents.fact_of(said, caps), now, caps)
    except Refused as e:
        raise cloudevents.placed(e) from None


def _fact(fact: dict[str, Any], now: int, caps: Caps) -> Draft:
    for key in fact:
        if key not in _KEYS:
            raise _unknown_key(key)
    kind = _type(fact, caps)
    ids = _ids(fact)
    occurred_at = _occurred_at(fact["occurred_at"], now, caps) if "occurred_at" in fact else None
    properties = _object(fact, "properties")
    context = _object(fact, "context")
    if kind == "consent" and not fields.is_consent(properties):
        raise refused("fact.consent_invalid", pointer="/properties")
    dedupe = "id" in fact
    fact_id = fact["id"] if dedupe else new_fact_id(now)
    if not (isinstance(fact_id, str) and fields.is_name(fact_id, 200)):
        raise refused("fact.id_invalid", pointer="/id")
    choices = fact.get("choices", [])
    if not fields.are_choices(choices):
        raise refused("fact.choices_invalid", pointer="/choices")
    return Draft(fact_id, kind, ids, occurred_at, properties, context, dedupe, choices)


def _unknown_key(key: str) -> Refused:
    folded = key[:40].lower()
    close = _SAID_ELSEWHERE.get(folded) or next(iter(get_close_matches(folded, _KEYS, 1)), "")
    ask = f" Did you mean {close}?" if close else ""
    return refused("fact.unknown_key", f"The fact has no key {clip(key)}.{ask}", f"/{escape(key)}")


def _type(fact: dict[str, Any], caps: Caps) -> str:
    if "type" not in fact:
        raise refused("fact.type_missing")
    kind = fact["type"]
    if isinstance(kind, str) and kind.startswith(RESERVED_TYPES) and kind not in caps.own:
        raise refused("fact.type_reserved", pointer="/type")
    if not (isinstance(kind, str) and fields.is_type(kind, caps.own)):
        raise refused("fact.type_invalid", f"The type {clip(kind)} is not a valid name.", "/type")
    return kind


def _object(fact: dict[str, Any], key: str) -> dict[str, Any]:
    value = fact.get(key, {})
    if not isinstance(value, dict):
        raise refused(f"fact.{key}_invalid", pointer=f"/{key}")
    return cast("dict[str, Any]", value)


def _occurred_at(value: Any, now: int, caps: Caps) -> int:
    at = "/occurred_at"
    leap = _LEAP.fullmatch(value) if isinstance(value, str) else None
    try:
        moment = msgspec.convert(f"{leap[1]}59.999{leap[2]}" if leap else value, datetime)
    except msgspec.ValidationError:
        raise _no_time(value) from None
    if moment.tzinfo is None:
        raise refused("fact.time_without_offset", pointer=at)
    occurred_at = fields.milliseconds(moment)
    if occurred_at < 0:
        raise refused("fact.past", pointer=at)
    if occurred_at > now + caps.future:
        raise refused("fact.future", pointer=at)
    if leap and not fields.ends_month(occurred_at):
        raise _no_time(value)
    return occurred_at


def _no_time(value: object) -> Refused:
    return refused("fact.time_invalid", f"{clip(value)} is not an RFC 3339 time.", "/occurred_at")


def _ids(fact: dict[str, Any]) -> dict[str, Any]:
    if "contact" not in fact:
        raise refused("fact.contact_missing")
    return identifiers(fact["contact"])


def identifiers(contact: object) -> dict[str, Any]:
    """What ``contact`` of a fact says, checked: by name. Raises Refused."""
    if isinstance(contact, str):
        return {"user_id": _user_id(contact, "/contact")}
    if not isinstance(contact, dict):
        raise refused("fact.contact_invalid", pointer="/contact")
    who = cast("dict[str, Any]", contact)
    for key in who:
        if key not in IDENTIFIERS:
            raise refused(
                "fact.contact_unknown_key", f"contact has no identifier {clip(key)}.", f"/contact/{escape(key)}"
            )
    ids: dict[str, Any] = {}
    if "user_id" in who:
        ids["user_id"] = _user_id(who["user_id"], "/contact/user_id")
    if "anonymous_id" in who:
        ids["anonymous_id"] = _identifier(who["anonymous_id"], "/contact/anonymous_id")
    if "email" in who:
        ids["email"] = fields.email(_text(who["email"], "/contact/email"))
        if not ids["email"]:
            raise refused("fact.email_invalid", f"{clip(who['email'])} is not an e-mail address.", "/contact/email")
    if "external" in who:
        ids["external"] = _external(who["external"])
    if not ids:
        raise refused("fact.contact_empty", pointer="/contact")
    return ids


def _text(value: Any, at: str) -> str:
    if not isinstance(value, str):
        raise refused("fact.identifier_not_text", f"The identifier {clip(value)} is not text.", at)
    return value


def _identifier(value: Any, at: str) -> str:
    if not fields.is_name(text := _text(value, at), 256):
        raise refused("fact.identifier_invalid", pointer=at)
    return text


def _user_id(value: Any, at: str) -> str:
    if not fields.is_user_id(text := _identifier(value, at)):
        raise refused("fact.user_id_reserved", pointer=at)
    return text


def _external(value: Any) -> dict[str, str]:
    at = "/contact/external"
    if not isinstance(value, dict) or not value:
        raise refused("fact.external_invalid", pointer=at)
    external = cast("dict[str, Any]", value)
    for name in external:
        if not fields.EXTERNAL_NAME.fullmatch(name):
            raise refused("fact.external_invalid", f"{clip(name)} cannot name an external system.", at)
    return {name: _identifier(text, f"{at}/{name}") for name, text in external.items()}
