"""Mail that comes back: reports of servers (RFC 3464) and of people who complain (RFC 5965), as reports of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from itertools import chain, islice

from overture_channels.returns import ReturnAddress
from overture_sources.fitting import clean
from overture_sources.reports import HEADER, Report, digest, ours

ACTIONS = {"failed": "bounced", "delayed": "deferred", "delivered": "delivered"}
FEEDBACK = {"abuse": "complained", "fraud": "complained", "opt-out": "unsubscribed"}
_ENHANCED = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_REPLY = re.compile(r"\b([245]\d\d)\b")
_QUOTED = re.compile(rf"^{HEADER}:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_SENDERS = frozenset({"5.1.7", "5.1.8"})  # of x.1.y, about addresses, those that are about the sender's
_PARTS = 100  # of a mail that are looked at
_BOUNDARY = re.compile(rb"boundary\s*=", re.IGNORECASE)
_BOUNDARIES = 20  # each level costs the parser a look at each line below it
MOST = 20  # ids of messages that it may quote, and addresses of ours that it may name


class Unread(ValueError):
    """A mail that is no report of a message of ours; the text is a sentence about it."""


@dataclass(frozen=True, slots=True)
class Returned:
    """A mail, the first of its parts, and what nothing but it has."""

    mail: Message
    parts: list[Message]
    key: str


def parsed(raw: bytes) -> Returned:
    """Raises `Unread`."""
    if len(_BOUNDARY.findall(raw)) > _BOUNDARIES:
        raise Unread("It has more parts in parts than mails that come back have.")
    try:
        mail = message_from_bytes(raw)
        parts = [part for part, _ in zip(mail.walk(), range(_PARTS), strict=False)]
        return Returned(mail, parts, _line(mail, "Message-ID") or digest(raw))
    except Exception:  # the parser of the standard library stumbles over mails that nobody should have sent
        raise Unread("It cannot be read.") from None


def read(returned: Returned, recipient: str, returns: ReturnAddress) -> Report:
    """What a mail to ``recipient`` says of the message that it brings back. Raises `Unread` where there is none, or no
    address beside it that proves that we sent it.
    """
    mail, parts = returned.mail, returned.parts
    try:
        status = next((part for part in parts if part.get_content_type() == "message/delivery-status"), None)
        feedback = next((part for part in parts if part.get_content_type() == "message/feedback-report"), None)
        tokens = _some(returns.token(address) for address in chain([recipient], _senders(parts)))
        message = next((id for id in _some(_ids(parts)) if returns.proves(tokens, id)), "")
        if not message:
            raise Unread("It quotes no message that an address of ours in it belongs to.")
        key = digest(returned.key, message)
        if status is not None:
            return _of_server(status, key, message)
        if feedback is not None:
            return _of_person(feedback, key, message)
        return Report(kind="unknown", key=key, at=None, message=message, description=_line(mail, "Subject"))
    except Unread:
        raise
    except Exception:  # as above: it reads some of it only when it is asked
        raise Unread("It cannot be read.") from None


def _of_server(part: Message, key: str, message: str) -> Report:
    groups = [group for group in _inside(part) if group["Final-Recipient"] or group["Action"]]
    failed = [group for group in groups if _line(group, "Action").lower() == "failed"]
    group = next(iter(failed or groups), Message())
    kind = ACTIONS.get(_line(group, "Action").lower(), "unknown")
    told = _typed(group, "Diagnostic-Code")
    status = _status(_line(group, "Status"), told)
    permanent = kind == "bounced" and _address_is_dead(status, told)
    return Report(
        kind=kind,
        key=f"{key}:{kind}",
        at=None,
        address=_typed(group, "Final-Recipient"),
        message=message,
        status=status,
        reason=_reason(status, permanent) if kind in ("bounced", "deferred") else "",
        detail=told,
        description=_typed(group, "Remote-MTA"),
        permanent=permanent,
    )


def _of_person(part: Message, key: str, message: str) -> Report:
    said = next(iter(_inside(part)), Message())
    what = _line(said, "Feedback-Type").lower()
    kind = FEEDBACK.get(what, "unknown")
    return Report(
        kind=kind,
        key=f"{key}:{kind}",
        at=None,
        address=_line(said, "Original-Rcpt-To").strip("<>"),
        message=message,
        reason="spam" if kind == "complained" else "",
        description=what,
        user_agent=_line(said, "User-Agent"),
    )


def _senders(parts: list[Message]) -> Iterator[str]:
    """Addresses that the mail which a complaint is about came from, as the complaint says."""
    for part in parts:
        for name in ("Original-Mail-From", "Return-Path"):
            for value in part.get_all(name, ()):
                yield clean(str(value)).strip().strip("<>")


def _ids(parts: list[Message]) -> Iterator[str]:
    """Ids of messages in what the mail quotes: a mail in it, its headers as text, or a copy below other text."""
    for part in parts:
        for value in part.get_all(HEADER, ()):
            yield ours("".join(str(value).split()))
        payload = part.get_payload(decode=True) if not part.is_multipart() else None
        if isinstance(payload, bytes):
            for found in _QUOTED.finditer(payload.decode("utf-8", "replace")):
                yield ours(found[1])


def _some(told: Iterable[str]) -> list[str]:
    """The first ones, each once: anyone may send a mail that is full of them."""
    return list(islice(dict.fromkeys(filter(None, told)), MOST))


def _inside(part: Message) -> list[Message]:
    """The groups of fields in a report."""
    payload = part.get_payload()
    return [each for each in payload if isinstance(each, Message)] if isinstance(payload, list) else []


def _line(fields: Message, name: str) -> str:
    return " ".join(clean(str(fields.get(name) or "")).split())


def _typed(fields: Message, name: str) -> str:
    """A value behind its type: ``rfc822; ada@example.com``."""
    value = _line(fields, name)
    return value.partition(";")[2].strip() or value


def _status(said: str, told: str) -> str:
    """The most exact one: servers that know nothing better write 5.0.0, and what the other one said beside it."""
    found = [each[1] for text in (said, told) if (each := _ENHANCED.search(text))]
    return next((each for each in found if not each.endswith(".0.0")), found[0] if found else "")


def _address_is_dead(status: str, told: str) -> bool:
    """5.1.y is about the address; without an exact status, the replies 550, 551 and 553 are."""
    if status and not status.endswith(".0.0"):
        return status.startswith("5.1.") and status not in _SENDERS
    reply = _REPLY.search(told)
    return reply is not None and reply[1] in ("550", "551", "553")


def _reason(status: str, permanent: bool) -> str:
    if permanent:
        return "bounced"
    if status[1:] == ".4.7":
        return "timed_out"
    return "blocked" if status[1:].startswith(".7.") else "other"
