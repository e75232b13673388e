"""One form for what the libraries of trackers say: the type, the time, the campaign and the size of the fact it makes.

Everything in a fact follows from what was said alone, so that who sends it again, at another time, sends the same fact.
"""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

from overture.plugin import NoFact, snake
from overture_sources.fitting import fitted
from overture_sources.names import LONGEST
from overture_sources.reports import at_text, text

T = TypeVar("T")
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")

_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@]+")
_MINUTE = 60_000  # ms
_BESIDE = 8 * 1024  # bytes from which a body is read beside the event loop
_NAME = 1_000  # characters of a name that are looked at
_VALUES, _TEXT = 220, 45_000  # that a fact may hold, less what is around them


async def beside(size: int, read: Callable[[], T]) -> T:
    """What ``read`` answers; beside the event loop where it has so many bytes to read that others would wait."""
    return await asyncio.to_thread(read) if size > _BESIDE else read()


def cut(value: Mapping[str, Any]) -> dict[str, Any]:
    """What of an object may be in a fact, and saying so where that is not all of it."""
    fit = fitted(value, values=_VALUES, spent=_TEXT)
    return fit if fit == value else {**fit, "cut": True}


def fact(
    kind: str,
    contact: Mapping[str, str],
    properties: Mapping[str, Any],
    context: Mapping[str, Any],
    *,
    id: str = "",
    occurred_at: object = None,
) -> dict[str, Any]:
    """The fact; cut to what one may hold, and saying so. Identifiers that are empty are left out."""
    given = {"properties": properties, "context": context}
    fit = fitted(given, values=_VALUES, spent=_TEXT)
    if fit != given:
        fit.setdefault("context", {})["cut"] = True
    made: dict[str, Any] = {"type": kind, "contact": {name: each for name, each in contact.items() if each}, **fit}
    if id:
        made["id"] = id
    if occurred_at is not None:
        made["occurred_at"] = occurred_at
    return made


def parted(made: Iterable[dict[str, Any] | NoFact]) -> tuple[list[dict[str, Any]], list[NoFact]]:
    """The facts, and what is none."""
    each = list(made)
    return [e for e in each if not isinstance(e, NoFact)], [e for e in each if isinstance(e, NoFact)]


def type_of(event: object, otherwise: str = "track") -> str:
    """``Order Completed`` → ``order_completed``. A name without a Latin letter is ``otherwise``; one that begins with a
    digit has that before it."""
    plain = unicodedata.normalize("NFKD", text(event)[:_NAME]).encode("ascii", "ignore").decode()
    name = snake(plain)
    return (name if name[:1].isalpha() else f"{otherwise}_{name}".rstrip("_"))[:LONGEST].rstrip("_")


def id_of(value: object) -> str:
    """An identifier as libraries send it; empty for what is none."""
    return text(value).strip()


def email_of(value: object) -> str:
    """An e-mail address; empty for what is none."""
    address = text(value).strip()
    return address if _EMAIL.fullmatch(address) else ""


def query_of(query: str) -> dict[str, str]:
    """The fields of a query, the last of each name; empty where there are too many."""
    try:
        return dict(parse_qsl(query, keep_blank_values=True, max_num_fields=500))
    except ValueError:
        return {}


def campaign_of(url: str) -> dict[str, str]:
    """``utm_…`` in the address of a page."""
    found = query_of(_split(url)[1]) if "utm_" in url else {}
    return {name: found[name] for name in UTM if found.get(name)}


def path_of(url: str) -> str:
    """The path of a page's address; empty where it is none."""
    return _split(url)[0]


def _split(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.path, parts.query


def instant(when: object, sent: datetime | None, at: int) -> object:
    """When it happened. A clock that is ahead is put right by whole minutes, so that what is sent again says the same;
    one that is behind cannot be told from what was long under way. ``sent``: when that clock said that it was sent;
    ``at``: when it came (ms). What is no time stays as it is, and is refused.
    """
    moment = at_text(when)
    if moment is None:
        return when
    ahead = 0 if sent is None else int(sent.timestamp() * 1000) - at
    if ahead < _MINUTE:
        return moment.isoformat()
    try:
        return (moment - timedelta(milliseconds=ahead // _MINUTE * _MINUTE)).isoformat()
    except OverflowError:  # the year 1: refused in any case
        return when
