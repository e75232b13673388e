"""Mail that an e-mail service has received and hands on: what it says, and the fact that it makes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default
from email.utils import getaddresses
from typing import Any, cast

from overture.plugin import Posted
from overture_sources.fitting import clean
from overture_sources.reports import digest, fact_id

PATH = "~/inbound"
TEXT = 8_000  # characters of it that are kept
MOST = 50  # receivers


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """``sender`` and ``to`` as ``(name, address)``; ``recipient`` is the address that it came to, ``spam`` None where
    nobody has judged it, ``event`` the service's id of it.
    """

    sender: tuple[str, str] = ("", "")
    to: tuple[tuple[str, str], ...] = ()
    subject: str = ""
    text: str = ""
    recipient: str = ""
    spam: bool | None = None
    event: str = ""
    at: datetime | None = None


def posted_mail(source: str, channel: str, mail: Mail) -> Posted:
    """One fact ``email_received``, about whoever the mail says it is from."""
    said: dict[str, Any] = {
        "address": mail.recipient,
        "from": shown(mail.sender),
        "to": [shown(each) for each in mail.to],
        "subject": mail.subject[:500],
        "text": mail.text[:TEXT],
    }
    properties = {name: value for name, value in said.items() if value}
    if mail.spam is not None:
        properties["spam"] = mail.spam
    key = mail.event or digest(mail.sender, mail.recipient, mail.subject, mail.text)
    made: dict[str, Any] = {
        "id": fact_id(source, f"mail:{key}"),
        "type": "email_received",
        "contact": {"email": mail.sender[1]} if mail.sender[1] else {},
        "properties": {"channel": channel, **properties},
        "context": {"source": source},
    }
    return Posted(facts=[made if mail.at is None else {**made, "occurred_at": mail.at.isoformat()}])


def written(raw: bytes, mail: Mail) -> Mail:
    """The same, with what stands in a mail as it was sent (RFC 5322)."""
    try:
        message = cast(EmailMessage, message_from_bytes(raw, policy=default))
        body = message.get_body(("plain",))
        read: Any = body.get_content() if body is not None else ""
        return replace(headed(message.items(), mail), text=clean(read if isinstance(read, str) else ""))
    except Exception:  # the parser of the standard library stumbles over mails that nobody should have sent
        return mail


def headed(headers: Iterable[tuple[str, str]], mail: Mail) -> Mail:
    """The same, with what stands in headers."""
    first: dict[str, str] = {}
    for name, value in headers:
        first.setdefault(name.lower(), str(value))
    senders = people(first.get("from", ""))
    return replace(
        mail,
        sender=senders[0] if senders else ("", ""),
        to=people(first.get("to", "")),
        subject=clean(first.get("subject", "")),
    )


def block(raw: bytes) -> list[tuple[str, str]]:
    """The headers in a text of them, decoded."""
    try:
        return [(name, str(value)) for name, value in message_from_bytes(raw.strip() + b"\n\n", policy=default).items()]
    except Exception:  # as in `written`
        return []


def people(told: str) -> tuple[tuple[str, str], ...]:
    """Names and addresses in the value of a header."""
    return tuple((clean(name), clean(address)) for name, address in getaddresses([told])[:MOST] if address)


def shown(who: tuple[str, str]) -> str:
    """``Ada <ada@example.org>``; the name in quotes where it needs them."""
    name, address = who
    try:
        return str(Address(name, addr_spec=address)) if address else ""
    except ValueError:
        return f"{name} <{address}>" if name else address
    except Exception:  # as in `written`
        return address
