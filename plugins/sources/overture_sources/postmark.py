"""Postmark: its webhooks. It signs nothing; it sends a user and password, or a header, as its settings say."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from overture.plugin import Endpoint, Incoming, Posted, PushSourcePlugin, Refuse, Secret, hookimpl
from overture_sources.fitting import clean
from overture_sources.inbound import MOST, PATH, Mail, posted_mail, written
from overture_sources.reports import OURS, Report, at_text, digest, json_object, posted, rows, table, text
from overture_sources.signing import same, unsigned

_KINDS = {"Delivery": "delivered", "Open": "opened", "Click": "clicked", "SpamComplaint": "complained"}
_BOUNCES = {  # what it calls types of bounces: kind, reason, whether the address is dead
    "HardBounce": ("bounced", "bounced", True),
    "BadEmailAddress": ("bounced", "invalid", True),
    "ManuallyDeactivated": ("rejected", "blocked", False),
    "SpamComplaint": ("complained", "spam", False),
    "Unsubscribe": ("unsubscribed", "unsubscribed", False),
    "ManualSuppression": ("unsubscribed", "unsubscribed", False),
    "Subscribe": ("subscribed", "", False),
    "Transient": ("deferred", "", False),
    "DnsError": ("deferred", "", False),
    "AutoResponder": ("autoresponded", "", False),
    "AddressChange": ("autoresponded", "", False),
    "OpenRelayTest": ("autoresponded", "", False),
    "ChallengeVerification": ("autoresponded", "", False),
    "SMTPApiError": ("failed", "", False),
    "InboundError": ("failed", "", False),
    "TemplateRenderingFailed": ("failed", "", False),
}
_SOFT = ("bounced", "other", False)
_PIECES = (
    OURS,
    *(f"{OURS}_{n}" for n in range(2, 11)),
)  # a value has 80 characters at most, an id of ours may have more


class PostmarkConfig(BaseModel):
    """``username`` and ``password`` of its basic auth, or a ``header`` (its name) and the ``token`` to stand there."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    username: str = ""
    password: Secret | None = None
    header: str = Field(default="", pattern=r"^[A-Za-z0-9-]*$")
    token: Secret | None = None
    channel: str = "email"

    @model_validator(mode="after")
    def _one(self) -> Self:
        basic, named = (bool(self.username), self.password), (bool(self.header), self.token)
        for has, secret in (basic, named):
            if has != (secret is not None) or (secret is not None and not secret.get_secret_value()):
                raise ValueError("username goes with a password, header with a token")
        if basic[0] == named[0]:
            raise ValueError("either username and password or header and token are needed")
        return self


class Postmark:
    def __init__(self, config: PostmarkConfig) -> None:
        self._config = config

    async def parse(self, request: Incoming) -> Posted:
        self._verify(request)
        body = json_object(request.inflated)
        if request.endpoint == PATH:
            return posted_mail("postmark", self._config.channel, await asyncio.to_thread(received, body))
        return posted("postmark", self._config.channel, [report(body)])

    async def close(self) -> None: ...

    def _verify(self, request: Incoming) -> None:
        config = self._config
        if config.token is not None:
            right, given = config.token.get_secret_value(), request.headers.get(config.header.lower(), "")
        else:
            assert config.password is not None
            pair = f"{config.username}:{config.password.get_secret_value()}"
            right = f"Basic {base64.b64encode(pair.encode()).decode()}"
            given = request.headers.get("authorization", "")
        if not same(right, given):
            raise unsigned("it lacks the password or the header")


def report(body: Mapping[str, Any]) -> Report:
    """What a body says; raises `Refuse` for a mail that it has received, which belongs elsewhere."""
    record = text(body.get("RecordType"))
    if record == "Inbound" or (not record and "FromFull" in body):
        raise Refuse("source.body", "This is a received mail, no event.")
    reason, permanent = "", False
    if record == "Bounce":
        kind, reason, permanent = _BOUNCES.get(text(body.get("Type")), _SOFT)
    elif record == "SubscriptionChange":
        why = text(body.get("SuppressionReason")) if body.get("SuppressSending") else "Subscribe"
        kind, reason, permanent = _BOUNCES.get(why, ("unsubscribed", "unsubscribed", False))
    else:
        kind = _KINDS.get(record, "unknown")
        reason = "spam" if kind == "complained" else ""
    address = text(body.get("Email")) or text(body.get("Recipient"))
    times = (body.get(each) for each in ("BouncedAt", "DeliveredAt", "ReceivedAt", "ChangedAt"))
    time = next((text(each) for each in times if each), "")
    id, name = text(body.get("MessageID")), text(body.get("ID"))
    metadata = table(body.get("Metadata"))
    return Report(
        kind=kind,
        key=f"{record}:{name}" if name else digest(record, id, address, time, body.get("OriginalLink")),
        at=at_text(time),
        address=address,
        message="".join(text(metadata.get(name)) for name in _PIECES),
        event=name,
        provider_id=id,
        reason=reason,
        detail=text(body.get("Details")),
        description=text(body.get("Description")),
        url=text(body.get("OriginalLink")),
        user_agent=text(body.get("UserAgent")),
        tags=tuple(tag for tag in (text(body.get("Tag")),) if tag),
        metadata={name: value for name, value in metadata.items() if name not in _PIECES},
        permanent=permanent,
    )


def received(body: Mapping[str, Any]) -> Mail:
    """The mail in a body of its inbound stream; raises `Refuse` for an event."""
    if text(body.get("RecordType")) not in ("", "Inbound"):
        raise Refuse("source.body", "This is an event, no received mail.")
    headers = [(text(h.get("Name")).lower(), text(h.get("Value"))) for h in map(table, rows(body.get("Headers")))]
    mail = Mail(
        recipient=text(body.get("OriginalRecipient")),
        spam=dict(headers).get("x-spam-status", "").lower().startswith("yes"),
        event=text(body.get("MessageID")),
    )
    if raw := text(body.get("RawEmail")):
        return written(raw.encode("utf-8", "surrogateescape"), mail)
    people = [table(body.get("FromFull")), *map(table, rows(body.get("ToFull")))]
    sender, *to = [(clean(text(who.get("Name"))), clean(text(who.get("Email")))) for who in people]
    told = replace(mail, sender=sender, to=tuple(to[:MOST]))
    return replace(told, subject=clean(text(body.get("Subject"))), text=clean(text(body.get("TextBody"))))


@hookimpl
def overture_sources() -> Iterable[PushSourcePlugin[PostmarkConfig]]:
    endpoints = [Endpoint(method="POST", path=path, proof="source") for path in ("~", PATH)]
    yield PushSourcePlugin(name="postmark", config=PostmarkConfig, open=Postmark, endpoints=endpoints)
