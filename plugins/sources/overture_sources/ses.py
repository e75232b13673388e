"""Amazon SES: notifications and events of its configuration sets, as Amazon SNS posts them."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Mapping
from email.utils import parseaddr
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from overture.plugin import Answer, Endpoint, Incoming, Posted, PushSourcePlugin, Refuse, hookimpl
from overture_sources.inbound import PATH, Mail, headed, posted_mail, written
from overture_sources.normal import beside
from overture_sources.reports import HEADER, OURS, Report, at_text, json_object, loaded, ours, posted, rows, table, text
from overture_sources.sns import Amazon, verify

LARGEST = 2**20  # bytes of a notification: it must be read to find its signature
_KINDS = {
    "Send": "sent",
    "Delivery": "delivered",
    "DeliveryDelay": "deferred",
    "Bounce": "bounced",
    "Complaint": "complained",
    "Reject": "rejected",
    "Rendering Failure": "failed",
    "Open": "opened",
    "Click": "clicked",
    "Subscription": "unsubscribed",
}
_DETAILS = {"Rendering Failure": "failure", "DeliveryDelay": "deliveryDelay"}  # others by their name in lower case


class SesConfig(BaseModel):
    """``topics``: ARNs of the SNS topics that may post here; their subscriptions are confirmed. ``tolerance``: seconds
    that a signature counts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    topics: tuple[str, ...] = Field(min_length=1)
    tolerance: int = Field(default=7_200, ge=1)  # Amazon tries again for an hour at most
    channel: str = "email"


class Ses:
    def __init__(self, config: SesConfig, amazon: Amazon | None = None) -> None:
        self._config = config
        self._amazon = amazon or Amazon()

    async def parse(self, request: Incoming) -> Posted | Answer:
        message = await beside(len(request.inflated), lambda: json_object(request.inflated))
        await verify(message, self._config.topics, self._amazon, self._config.tolerance)
        kind = text(message.get("Type"))
        if kind == "SubscriptionConfirmation":
            await self._amazon.confirm(text(message.get("SubscribeURL")))
            return Answer(body={"confirmed": message["TopicArn"]})
        if kind != "Notification":
            return Answer(body={"ignored": kind})
        if request.endpoint == PATH:
            mail = await asyncio.to_thread(received, message)
            return Answer(body={"ignored": kind}) if mail is None else posted_mail("ses", self._config.channel, mail)
        return posted("ses", self._config.channel, reports(message))

    async def close(self) -> None:
        await self._amazon.close()


def reports(message: Mapping[str, Any]) -> list[Report]:
    """One for each receiver that an SNS message speaks of; none for what SES says when it is set up. Raises `Refuse`
    for a received mail, which belongs elsewhere.
    """
    try:
        event = json_object(text(message.get("Message")))
    except Refuse:
        return []
    said = text(event.get("eventType")) or text(event.get("notificationType"))
    if said == "Received":
        raise Refuse("source.body", "This is a received mail, no event.")
    mail, about = table(event.get("mail")), table(event.get(_DETAILS.get(said, said.lower())))
    headers = [(text(h.get("name")).lower(), text(h.get("value"))) for h in map(table, rows(mail.get("headers")))]
    own = [value for name, value in headers if name == HEADER]
    metadata = [table(loaded(value)) for name, value in headers if name == "x-metadata"]
    kind, event_id = _KINDS.get(said, "unknown"), text(message.get("MessageId"))
    reason, permanent = "", False
    if kind == "bounced":
        reason, permanent = "bounced", about.get("bounceType") == "Permanent"
    elif kind == "complained":
        reason = "spam"
    elif kind == "rejected":
        reason = "blocked"
    return [
        Report(
            kind=kind,
            key=f"{event_id}:{address}",
            at=at_text(message.get("Timestamp")),
            address=address,
            message=ours(own[0]) if own else text(next(iter(rows(table(mail.get("tags")).get(OURS))), "")),
            event=event_id,
            provider_id=text(mail.get("messageId")),
            reason=reason,
            detail=detail,
            description=_description(kind, about),
            url=text(about.get("link")),
            user_agent=text(about.get("userAgent")),
            tags=tuple(value for name, value in headers if name == "x-tag"),
            metadata=dict(metadata[0]) if metadata else {},
            permanent=permanent,
        )
        for address, detail in _receivers(kind, mail, about)
    ]


def received(message: Mapping[str, Any]) -> Mail | None:
    """The mail in an SNS message, None for what SES says when it is set up. Where its content was stored and not sent
    along there is only what its headers say. Raises `Refuse` for an event.
    """
    event = loaded(text(message.get("Message")))
    if not isinstance(event, dict):
        return None
    told = table(event)
    if text(told.get("notificationType")) != "Received":
        raise Refuse("source.body", "This is an event, no received mail.")
    about, receipt = table(told.get("mail")), table(told.get("receipt"))
    verdict = table(receipt.get("spamVerdict")).get("status")
    mail = Mail(
        recipient=text(next(iter(rows(receipt.get("recipients"))), "")),
        spam={"PASS": False, "FAIL": True}.get(text(verdict)),
        event=text(about.get("messageId")),
        at=at_text(about.get("timestamp")),
    )
    if content := text(told.get("content")):
        coded = table(receipt.get("action")).get("encoding") == "BASE64"
        return written(_unpacked(content) if coded else content.encode("utf-8", "surrogateescape"), mail)
    headers = [(text(h.get("name")), text(h.get("value"))) for h in map(table, rows(about.get("headers")))]
    return headed(headers, mail)


def _unpacked(content: str) -> bytes:
    try:
        return base64.b64decode(content)
    except ValueError:
        return b""


def _receivers(kind: str, mail: Mapping[str, Any], about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Addresses, each with what its server said."""
    each: list[Any] = []
    for name in ("bouncedRecipients", "complainedRecipients", "delayedRecipients"):
        each += map(table, rows(about.get(name)))
    if each:
        return [(_bare(who.get("emailAddress")), text(who.get("diagnosticCode"))) for who in each]
    if kind == "delivered":
        return [(_bare(who), text(about.get("smtpResponse"))) for who in rows(about.get("recipients"))]
    return [(_bare(who), "") for who in rows(mail.get("destination"))]


def _bare(address: object) -> str:
    return parseaddr(text(address))[1]


def _description(kind: str, about: Mapping[str, Any]) -> str:
    if kind == "bounced":
        return f"{text(about.get('bounceType'))}: {text(about.get('bounceSubType'))}"
    names = ("complaintFeedbackType", "reason", "errorMessage", "delayType")
    return next((text(about[name]) for name in names if about.get(name)), "")


@hookimpl
def overture_sources() -> Iterable[PushSourcePlugin[SesConfig]]:
    endpoints = [Endpoint(method="POST", path=path, proof="source", most=LARGEST) for path in ("~", PATH)]
    yield PushSourcePlugin(name="ses", config=SesConfig, open=Ses, endpoints=endpoints)
