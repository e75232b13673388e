"""Twilio: what became of text messages, and those that people write; signed with an HMAC over address and form."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, field_validator
from yarl import URL

from overture.plugin import Answer, Endpoint, Incoming, Posted, PushSourcePlugin, Refuse, Secret, hookimpl
from overture_sources.fitting import clean
from overture_sources.forms import Form, form
from overture_sources.inbound import PATH, TEXT
from overture_sources.normal import beside
from overture_sources.reports import OURS, fact_id
from overture_sources.signing import same, unsigned

TYPES = {
    "delivered": "message.delivered",
    "undelivered": "message.bounced",
    "failed": "message.rejected",
    "read": "message.opened",
    "accepted": "sms_queued",
    "queued": "sms_queued",
    "scheduled": "sms_queued",
    "sending": "sms_sending",
    "sent": "sms_sent",
    "canceled": "sms_canceled",
}
_REASONS = {  # of its numbers of errors: why, and whether the number is dead
    "21211": ("invalid", True),
    "21610": ("unsubscribed", True),
    "21614": ("invalid", True),
    "30003": ("other", False),
    "30004": ("blocked", False),
    "30005": ("invalid", True),
    "30006": ("invalid", True),
    "30007": ("spam", False),
}
_STOP = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
_AGAIN = frozenset({"start", "unstop", "yes"})
MOST = 200  # fields
LARGEST = 64 * 1024  # bytes of a form, also inflated
_TWIML = Answer(body=b"<Response/>", content_type="text/xml")  # nothing is answered to whoever wrote


class TwilioConfig(BaseModel):
    """``auth_token``: the account's; ``url``: the address of this source as Twilio calls it, from outside."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    auth_token: Secret = Field(min_length=1)
    url: str
    channel: str = "sms"

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        url = URL(value)
        if url.scheme not in ("http", "https") or not url.host or url.query_string or url.fragment:
            raise ValueError("it must look like https://your.host/in/twilio")
        return value.rstrip("/")


class Twilio:
    def __init__(self, config: TwilioConfig) -> None:
        self._config = config

    async def parse(self, request: Incoming) -> Posted:
        return await beside(len(request.inflated), lambda: self._read(request))

    async def close(self) -> None: ...

    def _read(self, request: Incoming) -> Posted:
        filled = form(request)
        if filled is None:
            raise Refuse("source.body", "The body is no form.")
        token = self._config.auth_token.get_secret_value()
        address = f"{self._config.url}{request.endpoint.removeprefix('~')}{_query(request)}"
        given = request.headers.get("x-twilio-signature", "")
        if len(filled.names()) > MOST or not any(
            same(signature(token, each, filled), given) for each in _spelled(address)
        ):
            raise unsigned("the signature is not of this address and form")
        if request.endpoint == PATH:
            return Posted(facts=[_written(filled, self._config.channel)], answer=_TWIML)
        return Posted(facts=[_status(filled, self._config.channel, request.query.get(OURS, ""))])


def signature(token: str, address: str, filled: Form) -> str:
    """As Twilio signs a form: the address, then each name with its value, in the order of names."""
    pairs = [f"{name}{value}" for name in sorted(filled.names()) for value in sorted(set(filled.all(name)))]
    told = (address + "".join(pairs)).encode("utf-8", "surrogatepass")
    return base64.b64encode(hmac.new(token.encode(), told, hashlib.sha1).digest()).decode()


def _query(request: Incoming) -> str:
    """As the channel wrote it."""
    pairs = [f"{name}={quote(value, safe='')}" for name, value in request.query.items()]
    return f"?{'&'.join(pairs)}" if pairs else ""


def _spelled(address: str) -> list[str]:
    """With and without the usual port: Twilio has signed both."""
    url = URL(address, encoded=True)
    usual = {"http": 80, "https": 443}[url.scheme]
    if url.port != usual:
        return [address]
    head, _, tail = address.partition("://")
    place, slash, rest = tail.partition("/")
    bare = place.removesuffix(f":{usual}")
    return [f"{head}://{bare}{slash}{rest}", f"{head}://{bare}:{usual}{slash}{rest}"]


def _status(filled: Form, channel: str, message: str) -> dict[str, Any]:
    sid, status = filled.first("MessageSid"), filled.first("MessageStatus").lower()
    if not sid or not status:
        raise Refuse("source.body", "The form has no MessageSid with a MessageStatus.")
    type, error, address = TYPES.get(status, "sms_unknown"), filled.first("ErrorCode"), filled.first("To")
    properties: dict[str, Any] = {"channel": channel, "address": address, "provider_id": sid}
    if type in ("message.bounced", "message.rejected"):
        reason, dead = _REASONS.get(error, ("other", False))
        properties |= {"reason": reason, "permanent": dead, "detail": filled.first("ErrorMessage") or error}
    return _fact(f"{sid}:{status}", type, address, properties, message)


def _written(filled: Form, channel: str) -> dict[str, Any]:
    """Whoever writes STOP gets no more; who writes START at Twilio may, but has not agreed to anything here."""
    sid, who, text = filled.first("MessageSid"), filled.first("From"), filled.first("Body")
    if not sid or not who:
        raise Refuse("source.body", "The form has no MessageSid with a From.")
    said = filled.first("OptOutType").lower() or text.strip().lower()
    type = "message.unsubscribed" if said in _STOP else "sms_resubscribed" if said in _AGAIN else "sms_received"
    properties: dict[str, Any] = {"channel": channel, "address": who, "provider_id": sid, "text": text[:TEXT]}
    if type == "sms_received":
        properties |= {"address": filled.first("To"), "from": who}
    return _fact(sid, type, who, properties)


def _fact(key: str, type: str, who: str, properties: dict[str, Any], message: str = "") -> dict[str, Any]:
    """About the contact whose message it is, else about the one with that number among its external ids."""
    contact: dict[str, Any] = {"external": {"phone": who}} if who else {}
    return {
        "id": fact_id("twilio", key),
        "type": type,
        "contact": {**contact, **({"message": message} if message else {})},
        "properties": {
            name: clean(value) if isinstance(value, str) else value for name, value in properties.items() if value != ""
        },
        "context": {"source": "twilio"},
    }


@hookimpl
def overture_sources() -> Iterable[PushSourcePlugin[TwilioConfig]]:
    endpoints = [Endpoint(method="POST", path=path, proof="source", most=LARGEST) for path in ("~", PATH)]
    yield PushSourcePlugin(name="twilio", config=TwilioConfig, open=Twilio, endpoints=endpoints)
