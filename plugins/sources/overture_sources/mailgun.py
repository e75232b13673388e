"""Mailgun: its webhooks in both their forms, signed with an HMAC over a time and a token."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import replace
from email.utils import parseaddr
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from overture.plugin import Endpoint, Incoming, Once, Posted, PushSourcePlugin, Refuse, Secret, hookimpl
from overture_sources.fitting import clean
from overture_sources.forms import Form, form
from overture_sources.inbound import PATH, Mail, headed, posted_mail, written
from overture_sources.normal import beside
from overture_sources.reports import (
    DEAD,
    OURS,
    Report,
    at_second,
    digest,
    json_object,
    loaded,
    posted,
    rows,
    table,
    text,
)
from overture_sources.signing import fresh, same, unsigned

LARGEST = 2**20  # bytes of a notification: it must be read to find its signature
_KINDS = {
    "accepted": "queued",
    "rejected": "rejected",
    "delivered": "delivered",
    "failed": "bounced",
    "opened": "opened",
    "clicked": "clicked",
    "unsubscribed": "unsubscribed",
    "complained": "complained",
    # of the older form
    "dropped": "rejected",
    "bounced": "bounced",
}
_REASONS = {  # why it failed
    "bounce": "bounced",
    "suppress-bounce": "bounced",
    "suppress-complaint": "spam",
    "suppress-unsubscribe": "unsubscribed",
    "old": "timed_out",
    "generic": "other",
    "greylisted": "other",
    "espblock": "blocked",
}
_CODES = {  # of the older form; others by their hundreds
    499: "timed_out",
    550: "bounced",
    605: "bounced",
    606: "unsubscribed",
    607: "spam",
}
_OWN = frozenset({
    "Message-Id", "X-Mailgun-Sid", "X-Mailgun-Tag", "attachment-count", "campaign-id", "campaign-name", "city",
    "client-name", "client-os", "client-type", "code", "country", "description", "device-type", "domain", "error",
    "event", "h", "ip", "mailing-list", "message-headers", "message-id", "notification", "reason", "recipient",
    "region", "severity", "signature", "tag", "timestamp", "token", "url", "user-agent",
})  # fmt: skip
_BEFORE = frozenset({"event", "recipient"})  # of these the first field is Mailgun's, of others the last


class MailgunConfig(BaseModel):
    """``signing_key``: the HTTP webhook signing key; ``tolerance``: seconds that a signature counts."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    signing_key: Secret
    tolerance: int = Field(default=43_200, ge=1)  # it tries again for eight hours
    channel: str = "email"


class Mailgun:
    def __init__(self, config: MailgunConfig) -> None:
        self._config = config

    async def parse(self, request: Incoming) -> Posted:
        return await beside(len(request.inflated), lambda: self._read(request))

    async def close(self) -> None: ...

    def _read(self, request: Incoming) -> Posted:
        filled = form(request)
        if filled is not None:
            token = filled.last("token")
            self._verify(filled.last("timestamp"), token, filled.last("signature"))
            if request.endpoint == PATH:
                return self._bound(token, posted_mail("mailgun", self._config.channel, received(filled)))
            return self._bound(token, posted("mailgun", self._config.channel, older(filled)))
        body = json_object(request.inflated)
        signed = table(body.get("signature"))
        token = text(signed.get("token"))
        self._verify(text(signed.get("timestamp")), token, text(signed.get("signature")))
        if request.endpoint == PATH:
            raise Refuse("source.body", "This is an event, no received mail.")
        return self._bound(token, posted("mailgun", self._config.channel, [report(body)]))

    def _bound(self, token: str, made: Posted) -> Posted:
        """The signature is not over what is told: whoever saw one could tell anything else with it."""
        # Its time may be as far ahead as behind.
        return replace(made, once=Once(token, digest(made.facts), 2 * self._config.tolerance + 1))

    def _verify(self, time: str, token: str, signature: str) -> None:
        key = self._config.signing_key.get_secret_value().encode()
        right = hmac.new(key, f"{time}{token}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        if not time or not token or not same(right, signature):
            raise unsigned("the signature is not of its time and token")
        fresh(time, self._config.tolerance)


def report(body: Mapping[str, Any]) -> Report:
    """What a body of the present form says; raises `Refuse` where it is none."""
    event, token = table(body.get("event-data")), text(table(body.get("signature")).get("token"))
    said = text(event.get("event"))
    if not said:
        raise Refuse("source.body", "The body has no event-data with an event.")
    kind = _KINDS.get(said, "unknown")
    status, reject = table(event.get("delivery-status")), table(event.get("reject"))
    if said == "failed" and event.get("severity") == "temporary":
        kind = "deferred"
    reason = ""
    if said in ("failed", "rejected"):
        reason = _REASONS.get(text(event.get("reason")), "other")
    headers = table(table(event.get("message")).get("headers"))
    id, name = text(headers.get("message-id")), text(event.get("id"))
    variables = table(event.get("user-variables"))
    return Report(
        kind=kind,
        # Unique within a day. Without it the token: the same where a request is repeated.
        key=f"{name}:{text(event.get('timestamp')).partition('.')[0]}" if name else token,
        at=at_second(event.get("timestamp")),
        address=text(event.get("recipient")) or parseaddr(text(headers.get("to")))[1],
        message=text(variables.get(OURS)),
        event=token,
        provider_id=f"<{id}>" if id else "",
        reason=reason,
        detail=text(status.get("message")),
        description=text(status.get("description")) or text(reject.get("description")) or text(reject.get("reason")),
        url=text(event.get("url")),
        user_agent=text(table(event.get("client-info")).get("user-agent")),
        tags=tuple(text(tag) for tag in rows(event.get("tags")) if text(tag)),
        metadata={name: value for name, value in variables.items() if name != OURS},
        permanent=kind == "bounced" and reason in DEAD,
    )


def older(filled: Form) -> list[Report]:
    """What a form says; raises `Refuse` where it is none of an event."""
    said = filled.first("event")
    if not said:
        raise Refuse("source.body", "The form has no event.")
    headers = _headers(filled.last("message-headers"))
    carried = table(loaded(headers.get("x-mailgun-variables", "")))
    metadata = dict(carried) if carried else _unknown(filled)
    code = filled.last("code")
    kind, reason = _KINDS.get(said, "unknown"), ""
    if said in ("bounced", "dropped"):
        reason = _reason(code, filled.last("reason"))
    own = metadata.pop(OURS, "")
    return [
        Report(
            kind=kind,
            key=filled.last("token"),
            at=at_second(filled.last("timestamp")),
            address=filled.first("recipient"),
            message=text(own),
            event=filled.last("token"),
            provider_id=filled.last("Message-Id") or filled.last("message-id"),
            reason=reason,
            detail=filled.last("error") or filled.last("notification"),
            description=filled.last("description"),
            url=filled.last("url"),
            user_agent=filled.last("user-agent"),
            tags=tuple(filled.all("tag") or filled.all("X-Mailgun-Tag")),
            metadata=metadata,
            permanent=reason in DEAD,
        )
    ]


def received(filled: Form) -> Mail:
    """The mail in a form that a route posts; raises `Refuse` where it is none."""
    if filled.first("event"):
        raise Refuse("source.body", "This is an event, no received mail.")
    headers = _headers(filled.last("message-headers"))
    mail = Mail(
        recipient=filled.first("recipient"),
        spam=headers.get("x-mailgun-sflag", "").lower() == "yes",
        event=filled.last("token"),
        at=at_second(filled.last("timestamp")),
    )
    if raw := filled.raw("body-mime"):
        return written(raw, mail)
    return replace(headed(headers.items(), mail), text=clean(filled.first("body-plain")))


def _reason(code: str, why: str) -> str:
    number = int(code) if code.isascii() and code.isdigit() and len(code) < 6 else 0
    if number in _CODES:
        return _CODES[number]
    if code.startswith(("5.", "5")) or why == "hardfail":
        return "bounced"
    return "timed_out" if why == "old" else "other"


def _unknown(filled: Form) -> dict[str, Any]:
    """Variables are fields among the others. Of a name that is Mailgun's too, Mailgun's own comes last, or first."""
    found: dict[str, Any] = {}
    for name in filled.names():
        every = filled.all(name)
        if name not in _OWN:
            found[name] = every[-1]
        elif len(every) > 1 and name not in ("tag", "X-Mailgun-Tag"):
            found[name] = every[-1] if name in _BEFORE else every[0]
    return found


def _headers(told: str) -> dict[str, str]:
    pairs = [each for each in rows(loaded(told)) if isinstance(each, list) and len(each) == 2]
    return {text(name).lower(): value for name, value in pairs if isinstance(value, str)}


@hookimpl
def overture_sources() -> Iterable[PushSourcePlugin[MailgunConfig]]:
    endpoints = [
        Endpoint(method="POST", path="~", proof="source", most=LARGEST),
        Endpoint(method="POST", path=PATH, proof="source"),
    ]
    yield PushSourcePlugin(name="mailgun", config=MailgunConfig, open=Mailgun, endpoints=endpoints)
