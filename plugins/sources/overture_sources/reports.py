"""What an e-mail service says became of a message: one form for all of them, and the fact that it makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from math import isfinite
from typing import Any, cast
from urllib.parse import unquote

import msgspec

from overture.plugin import Posted, Refuse, agent_of
from overture_sources.fitting import clean, fitted

OURS = "overture_message"
"""What carries the id of a message of ours (`Outgoing.id`) through a service: its custom argument, variable or tag."""
HEADER = "x-overture-message"  # the same as a header of the mail, with visible ASCII alone: the rest is %-escaped

OUTCOMES = frozenset(
    {"delivered", "deferred", "bounced", "rejected", "complained", "opened", "clicked", "unsubscribed"}
)
DEAD = frozenset({"bounced", "invalid"})  # why a service does not send: it knows that nobody is there
_TEXT = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One event. ``kind``: one of `OUTCOMES`, or ``queued``, ``sent``, ``failed``, ``subscribed``, ``autoresponded``,
    ``unknown``; ``key`` is the same whenever the event is sent again.

    ``message`` is the id of ours, ``provider_id`` the service's, ``event`` the service's id of the event; ``reason``
    one of bounced, invalid, spam, unsubscribed, blocked, timed_out, other; ``status`` is the enhanced status code
    (RFC 3463), ``detail`` what the receiver's server said, ``description`` what the service says; ``machine``: the
    service says that nobody need have opened it; ``permanent``: the
    address is dead.
    """

    kind: str
    key: str
    at: datetime | None
    address: str = ""
    message: str = ""
    event: str = ""
    provider_id: str = ""
    reason: str = ""
    status: str = ""
    detail: str = ""
    description: str = ""
    url: str = ""
    user_agent: str = ""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    permanent: bool = False
    machine: bool = False


def posted(source: str, channel: str, reports: Iterable[Report]) -> Posted:
    """The facts that they make."""
    return Posted(facts=[fact(source, channel, each) for each in reports])


def fact(source: str, channel: str, report: Report) -> dict[str, Any]:
    """``message.<kind>`` for an outcome, ``email_<kind>`` for anything else."""
    who = {"message": report.message, "email": report.address}
    said: dict[str, Any] = {
        "address": report.address,
        "provider_id": report.provider_id,
        "reason": report.reason,
        "status": report.status,
        "detail": report.detail,
        "description": report.description,
        "url": report.url,
        "user_agent": report.user_agent,
    }
    properties: dict[str, Any] = {name: clean(value)[:_TEXT] for name, value in said.items() if value}
    if report.kind in ("bounced", "rejected"):
        properties["permanent"] = report.permanent
    more = fitted({"tags": list(report.tags), "metadata": report.metadata})
    context: dict[str, Any] = {"source": source}
    if report.kind in ("opened", "clicked"):
        agent = agent_of(report.user_agent)
        context |= agent.told()
        if report.machine or agent.machine:
            properties["machine"] = True
    made: dict[str, Any] = {
        "id": fact_id(source, report.key),
        "type": f"message.{report.kind}" if report.kind in OUTCOMES else f"email_{report.kind}",
        "contact": {name: value for name, value in who.items() if value},
        "properties": {"channel": channel, **properties, **{name: value for name, value in more.items() if value}},
        "context": context,
    }
    return made if report.at is None else {**made, "occurred_at": report.at.isoformat()}


def fact_id(source: str, key: str) -> str:
    """``<source>:<key>``; of a key that is too long or odd for an id, a digest."""
    fits = key.isprintable() and len(key) <= 150 and key.strip()
    return f"{source}:{key if fits else digest(key)}"


def digest(*parts: object) -> str:
    """A key for what has none of its own."""
    told = "\0".join(str(part) for part in parts)
    return sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def at_second(value: object) -> datetime | None:
    """Unix time in seconds, also as text."""
    try:
        return datetime.fromtimestamp(float(str(value)), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def at_text(value: object) -> datetime | None:
    """RFC 3339, with any number of decimals; without an offset it is taken as UTC."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def text(value: object) -> str:
    """What is text or a number; anything else is as good as nothing. A whole number has no point: ``7.0`` is ``7``."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return str(int(value) if value.is_integer() else value) if isfinite(value) else ""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def table(value: object) -> Mapping[str, Any]:
    """A JSON object, or an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def rows(value: object) -> list[Any]:
    """A JSON list, or an empty one for anything else."""
    return value if isinstance(value, list) else []


def loaded(told: str | bytes) -> Any:
    """The JSON in a text; None where it is none."""
    try:
        return msgspec.json.decode(told)
    except (ValueError, RecursionError):
        return None


def json_object(body: str | bytes) -> Mapping[str, Any]:
    """Raises `Refuse` where the body is no JSON object."""
    value = loaded(body)
    if not isinstance(value, dict):
        raise Refuse("source.body", "The body is no JSON object.")
    return cast(dict[str, Any], value)


def ours(value: object) -> str:
    """The id in a header, which is escaped there."""
    return unquote(text(value))
