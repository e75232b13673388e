"""What the fields of a fact may hold. The quick and the careful reader share these, so they cannot disagree."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from overture.model.fact import RESERVED_TYPES, TYPE_NAME
from overture.model.ids import RESERVED

EXTERNAL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")  # no colon: it separates name and value in a contact's id
CHOICE = re.compile(r"(?:[a-z0-9][a-z0-9_-]{0,63}/)?[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
CHOICES = 20  # that one fact may ask for
CONSENT_STATES = ("granted", "pending", "denied")  # pending: to be confirmed by the person (double opt-in)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_type(text: str, own: frozenset[str]) -> bool:
    """Whether facts of this type may come from outside; ``own``: `Caps.own`."""
    if text.startswith(RESERVED_TYPES) and text not in own:
        return False
    return len(text) <= 128 and TYPE_NAME.fullmatch(text) is not None


def is_name(text: str, limit: int) -> bool:
    """1 to ``limit`` printable characters, not all of them spaces."""
    return 0 < len(text) <= limit and text.isprintable() and not text.isspace()


def is_user_id(text: str) -> bool:
    """Not one that would read as another identifier or as one of Overture's own."""
    return is_name(text, 256) and text[0] != "$" and not text.startswith(RESERVED)


def email(text: str) -> str:
    """The address in lower case, or empty where it is none. Deliverability is the channel's business."""
    address = text.lower()
    if len(address) > 254 or not address.isprintable() or " " in address:
        return ""
    local, at, domain = address.partition("@")
    return address if local and at and domain and "@" not in domain else ""


def is_consent(properties: dict[str, Any]) -> bool:
    names = (properties.get("channel"), properties.get("purpose"))
    return all(isinstance(n, str) and is_name(n, 64) for n in names) and properties.get("state") in CONSENT_STATES


def are_choices(names: Any) -> bool:
    """At most `CHOICES` names of choices, none of them twice: ``hero``, or ``shop/hero``."""
    if not isinstance(names, list) or len(cast("list[Any]", names)) > CHOICES:
        return False
    known = cast("list[Any]", names)
    return all(isinstance(n, str) and CHOICE.fullmatch(n) for n in known) and len({*known}) == len(known)


def milliseconds(moment: datetime) -> int:
    """Milliseconds since the epoch of a time that knows its offset; in integers, so that nothing is rounded up."""
    span = moment - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1000 + span.microseconds // 1000


def ends_month(ms: int) -> bool:
    """Whether a month ends in UTC with this millisecond, which is where leap seconds are."""
    days, rest = divmod(ms + 1, 86_400_000)
    return rest == 0 and (_EPOCH + timedelta(days)).day == 1
