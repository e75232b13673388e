"""The quick reader: a valid JSON fact in a few microseconds.

It answers ``None`` wherever anything is off or merely unusual; `careful` then decides and words the reason. What it
does take, `careful` takes as well and reads the same (a test holds the two together).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

import msgspec
from msgspec import UNSET, UnsetType

from overture.intake import fields
from overture.intake.caps import Caps
from overture.model import Draft
from overture.model.ids import new_fact_id
from overture.model.numbers import NUMBER_LIMIT

_MEMBER = re.compile(rb'"[ \t\r\n]*:')
_OFF = 1 << 40  # a count of keys that no cap allows


class _Who(msgspec.Struct, forbid_unknown_fields=True):
    user_id: str | UnsetType = UNSET
    anonymous_id: str | UnsetType = UNSET
    email: str | UnsetType = UNSET
    external: dict[str, str] | UnsetType = UNSET


class _Wire(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    contact: str | _Who
    id: str | UnsetType = UNSET
    occurred_at: datetime | UnsetType = UNSET
    properties: dict[str, Any] | UnsetType = UNSET
    context: dict[str, Any] | UnsetType = UNSET
    choices: list[str] | UnsetType = UNSET


_decode = msgspec.json.Decoder(_Wire).decode


def read(raw: bytes, now: int, caps: Caps) -> Draft | None:
    """The draft in one JSON text, or ``None`` where the careful reader must look. ``now`` in milliseconds."""
    if len(raw) > caps.fact or b"\\u0000" in raw:
        return None
    try:
        wire = _decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    kind = wire.type
    if not fields.is_type(kind, caps.own):
        return None
    keys = 2

    who = wire.contact
    if isinstance(who, str):
        if not fields.is_user_id(who):
            return None
        ids: dict[str, Any] = {"user_id": who}
    else:
        ids = _identifiers(who)
        if not ids:
            return None
        keys += len(ids) + len(ids.get("external", ()))

    fact_id = wire.id
    if dedupe := fact_id is not UNSET:
        if not fields.is_name(fact_id, 200):
            return None
        keys += 1
    else:
        fact_id = new_fact_id(now)

    if (moment := wire.occurred_at) is UNSET:
        occurred_at = None
    else:
        if moment.tzinfo is None:
            return None
        occurred_at = fields.milliseconds(moment)
        if not 0 <= occurred_at <= now + caps.future:
            return None
        keys += 1

    if (properties := wire.properties) is UNSET:
        properties = {}
    else:
        keys += 1 + len(properties) + _keys(properties.values(), caps.depth - 2)
    if (context := wire.context) is UNSET:
        context = {}
    else:
        keys += 1 + len(context) + _keys(context.values(), caps.depth - 2)

    if (choices := wire.choices) is UNSET:
        choices = []
    elif not fields.are_choices(choices):
        return None
    else:
        keys += 1
    # A key sent twice is one key read: then the text has more members than the value has keys.
    if keys > caps.keys or keys != _members(raw):
        return None
    if kind == "consent" and not fields.is_consent(properties):
        return None
    return Draft(fact_id, kind, ids, occurred_at, properties, context, dedupe, choices)


def _identifiers(who: _Who) -> dict[str, Any]:
    """The identifiers given, or an empty dict where there is none or one is wrong."""
    ids: dict[str, Any] = {}
    if (user_id := who.user_id) is not UNSET:
        if not fields.is_user_id(user_id):
            return {}
        ids["user_id"] = user_id
    if (anonymous_id := who.anonymous_id) is not UNSET:
        if not fields.is_name(anonymous_id, 256):
            return {}
        ids["anonymous_id"] = anonymous_id
    if who.email is not UNSET:
        if not (address := fields.email(who.email)):
            return {}
        ids["email"] = address
    if (external := who.external) is not UNSET:
        for name, value in external.items():
            if not (fields.EXTERNAL_NAME.fullmatch(name) and fields.is_name(value, 256)):
                return {}
        if not external:
            return {}
        ids["external"] = external
    return ids


def _keys(values: Iterable[Any], depth: int) -> int:
    """How many keys the values hold in all; ``_OFF`` where a number is out of range or nesting exceeds ``depth``."""
    n = 0
    for value in values:
        if value is None or isinstance(value, (str, bool)):
            continue
        if isinstance(value, (int, float)):
            if not -NUMBER_LIMIT <= value <= NUMBER_LIMIT:
                return _OFF
        elif depth == 0:
            return _OFF
        elif isinstance(value, dict):
            inner = cast("dict[str, Any]", value)
            n += len(inner) + _keys(inner.values(), depth - 1)
        else:
            n += _keys(value, depth - 1)
    return n


def _members(raw: bytes) -> int:
    """At least as many as the text has object members; more only where a string looks like one."""
    if b'" ' in raw or b'"\n' in raw or b'"\t' in raw or b'"\r' in raw:  # then a colon may stand away from its key
        return len(_MEMBER.findall(raw))
    return raw.count(b'":')
