"""Twilio SendGrid: its Event Webhook and its Inbound Parse, signed with ECDSA."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from overture.plugin import Endpoint, Incoming, Posted, PushSourcePlugin, Refuse, Secret, hookimpl
from overture_sources.fitting import clean
from overture_sources.forms import form
from overture_sources.inbound import PATH, Mail, block, headed, posted_mail, written
from overture_sources.normal import beside
from overture_sources.reports import DEAD, OURS, Report, at_second, digest, loaded, posted, rows, table, text
from overture_sources.signing import fresh, unsigned

SIGNATURE = "x-twilio-email-event-webhook-signature"
TIMESTAMP = "x-twilio-email-event-webhook-timestamp"

_KINDS = {
    "processed": "queued",
    "deferred": "deferred",
    "delivered": "delivered",
    "bounce": "bounced",
    "dropped": "rejected",
    "open": "opened",
    "click": "clicked",
    "spamreport": "complained",
    "unsubscribe": "unsubscribed",
    "group_unsubscribe": "unsubscribed",
    "group_resubscribe": "subscribed",
}
_REASONS = {
    "invalid": "invalid",
    "unsubscribed address": "unsubscribed",
    "bounced address": "bounced",
    "blocked": "blocked",
    "expired": "timed_out",
    "spam reporting address": "spam",
    "spam content": "blocked",
}
_OWN = frozenset({
    "asm_group_id", "attempt", "bounce_classification", "category", "cert_err", "email", "event", "ip",
    "marketing_campaign_id", "marketing_campaign_name", "newsletter", "pool", "reason", "response", "send_at",
    "sg_content_type", "sg_event_id", "sg_machine_open", "sg_message_id", "sg_template_id", "sg_template_name",
    "smtp-id", "status", "timestamp", "tls", "type", "url", "url_offset", "useragent",
})  # fmt: skip


class SendgridConfig(BaseModel):
    """``public_key``: what verifies its signed Event Webhook; ``tolerance``: seconds that a signature counts."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    public_key: Secret
    tolerance: int = Field(default=86_400, ge=1)
    channel: str = "email"

    @field_validator("public_key")
    @classmethod
    def _usable(cls, value: SecretStr) -> SecretStr:
        _key(value.get_secret_value())
        return value


class Sendgrid:
    def __init__(self, config: SendgridConfig) -> None:
        self._config = config
        self._key = _key(config.public_key.get_secret_value())

    async def parse(self, request: Incoming) -> Posted:
        time = request.headers.get(TIMESTAMP, "")
        try:
            signature = base64.b64decode(request.headers.get(SIGNATURE, ""), validate=True)
            self._key.verify(signature, time.encode() + request.body, ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            raise unsigned("the signature is not of this body") from None
        fresh(time, self._config.tolerance)
        if request.endpoint == PATH:
            return posted_mail("sendgrid", self._config.channel, await asyncio.to_thread(received, request))
        # To tell what a program of mail calls itself takes a third of a millisecond, where it was not seen before.
        return await beside(
            len(request.inflated), lambda: posted("sendgrid", self._config.channel, reports(request.inflated))
        )

    async def close(self) -> None: ...


def reports(body: bytes) -> list[Report]:
    """Raises `Refuse` where the body is no list of events."""
    events = loaded(body)
    if not isinstance(events, list):
        raise Refuse("source.body", "The body is no list of events.")
    return [_report(table(event)) for event in events]


def received(request: Incoming) -> Mail:
    """The mail in a request of Inbound Parse, in both of its forms; raises `Refuse` where it is none."""
    filled = form(request)
    if filled is None:
        raise Refuse("source.body", "The body is no form.")
    to = rows(table(loaded(filled.first("envelope"))).get("to"))
    mail = Mail(recipient=text(next(iter(to), "")))
    if raw := filled.raw("email"):
        return written(raw, mail)
    charset = text(table(loaded(filled.first("charsets"))).get("text"))
    told = [("From", filled.first("from")), ("To", filled.first("to")), ("Subject", filled.first("subject"))]
    return replace(headed([*block(filled.raw("headers")), *told], mail), text=clean(filled.first("text", charset)))


def _report(event: Any) -> Report:
    said = text(event.get("event"))
    kind = _KINDS.get(said, "unknown")
    why = text(event.get("reason"))
    reason = _REASONS.get(why.lower(), "other") if said == "dropped" else ""
    category = event.get("category")
    address, time = text(event.get("email")), event.get("timestamp")
    return Report(
        kind=kind,
        key=text(event.get("sg_event_id")) or digest(said, address, time, event.get("sg_message_id"), event.get("url")),
        at=at_second(time),
        address=address,
        message=text(event.get(OURS)),
        event=text(event.get("sg_event_id")),
        provider_id=text(event.get("smtp-id")) or text(event.get("sg_message_id")),
        reason=reason,
        detail="" if said == "dropped" else text(event.get("response")) or why,
        description=why if reason == "other" else "",
        url=text(event.get("url")),
        user_agent=text(event.get("useragent")),
        machine=event.get("sg_machine_open") is True,
        tags=tuple(text(tag) for tag in (rows(category) or [category]) if text(tag)),
        metadata={name: value for name, value in event.items() if name not in _OWN and name != OURS},
        permanent=reason in DEAD or (said == "bounce" and event.get("type", "bounce") != "blocked"),
    )


def _key(told: str) -> EllipticCurvePublicKey:
    """As SendGrid shows it: the base64 of a DER key, perhaps as PEM. ValueError for anything else."""
    try:
        key = load_der_public_key(base64.b64decode(re.sub(r"-----[A-Z ]+-----|\s", "", told), validate=True))
    except ValueError:
        key = None
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError("it is no verification key of a signed Event Webhook")
    return key


@hookimpl
def overture_sources() -> Iterable[PushSourcePlugin[SendgridConfig]]:
    endpoints = [Endpoint(method="POST", path=path, proof="source") for path in ("~", PATH)]
    yield PushSourcePlugin(name="sendgrid", config=SendgridConfig, open=Sendgrid, endpoints=endpoints)
