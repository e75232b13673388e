"""Webhooks after the Standard Webhooks specification (standardwebhooks.com): signed JSON to a public address."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

import aiohttp
import msgspec
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from standardwebhooks import Webhook
from yarl import URL

from overture.model import clock
from overture.plugin import (
    ChannelPlugin,
    EgressRefused,
    Limits,
    Outgoing,
    Rejected,
    RetryLater,
    Secret,
    Sent,
    hookimpl,
)
from overture.plugin.egress import networks
from overture_channels.http import Caller, Reply, retry_after
from overture_channels.mail import header_id

_BASE64 = re.compile(r"(whsec_)?[A-Za-z0-9+/]+={0,2}")


class WebhookConfig(BaseModel):
    """``secret``: base64 with or without ``whsec_``, or ``env:NAME``, ``file:PATH``; without one nothing is signed.

    ``egress_allow``: networks (CIDR) besides the public internet that may be called. ``timeout`` in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    secret: Secret | None = None
    egress_allow: tuple[str, ...] = ()
    timeout: float = Field(default=15.0, gt=0, le=Limits().timeout, strict=True)

    @field_validator("secret")
    @classmethod
    def _secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                Webhook(value.get_secret_value())
                usable = _BASE64.fullmatch(value.get_secret_value())  # the library would leave out what is none
            except Exception:
                usable = None
            if usable is None:
                raise ValueError("the secret is not base64")
        return value

    @field_validator("egress_allow")
    @classmethod
    def _egress_allow(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        networks(value)
        return value


class WebhookChannel:
    """Posts each message to its own receiver."""

    def __init__(self, config: WebhookConfig) -> None:
        self._signer = Webhook(config.secret.get_secret_value()) if config.secret else None
        self._http = Caller("webhook", config.timeout, config.egress_allow)

    def __repr__(self) -> str:
        return f"<WebhookChannel {'signed' if self._signer else 'unsigned'}>"

    async def send(self, message: Outgoing) -> Sent | Rejected:
        url = _target(message.to)
        if url is None:
            return Rejected("webhook.url_invalid", "The address is not an http(s) URL, or has a user name in it.", True)
        body = payload(message)
        try:
            reply = await self._http.call("POST", url, body, self._headers(message, body))
        except EgressRefused:
            return Rejected("webhook.egress_refused", f"{url.host} leads to an address that must not be called.")
        except aiohttp.InvalidURL:
            return Rejected("webhook.url_invalid", "The address is not a URL that can be called.", True)
        return _judge(reply, url.host or "")

    async def check(self) -> None:
        """Each message names its own receiver, so there is nothing to reach; a closed channel raises."""
        self._http.open()

    async def close(self) -> None:
        await self._http.close()

    def _headers(self, message: Outgoing, body: bytes) -> dict[str, str]:
        """The timestamp is of this attempt, because receivers refuse old ones; the id is the same at each."""
        sent_at, name = clock.wall() // 1000, header_id(message.id)
        headers = {"Content-Type": "application/json", "webhook-id": name, "webhook-timestamp": str(sent_at)}
        if self._signer is not None:
            headers["webhook-signature"] = self._signer.sign(name, datetime.fromtimestamp(sent_at, UTC), body.decode())
        return headers


def payload(message: Outgoing) -> bytes:
    """The JSON body, the same at each hand-off: ``type``, ``timestamp`` (RFC 3339) and ``data`` with the message."""
    return msgspec.json.encode(
        {
            "type": "overture.message",
            "timestamp": clock.to_text(message.created_at),
            "data": {
                "id": message.id,
                "contact": message.contact,
                "purpose": message.purpose,
                "subject": message.subject,
                "text": message.text,
                "html": message.html,
                "properties": message.properties,
                "data": message.data,
            },
        }
    )


def _target(text: str) -> URL | None:
    try:
        url = URL(text)
    except ValueError:
        return None
    if url.scheme not in ("http", "https") or not url.host or url.user is not None or url.password is not None:
        return None
    return url


def _judge(reply: Reply, host: str) -> Sent | Rejected:
    said = f"{host} answered {reply.status}."
    if 200 <= reply.status < 300:
        return Sent()
    if reply.later:
        raise RetryLater(retry_after(reply.headers), f"webhook.{reply.status}", said)
    if 300 <= reply.status < 400:
        return Rejected("webhook.redirected", f"{said} Redirects are not followed.")
    return Rejected(f"webhook.{reply.status}", said, permanent=reply.status == 410)


@hookimpl
def overture_channels() -> Iterable[ChannelPlugin[WebhookConfig]]:
    """No contact has a webhook of its own: the rule names the address in ``to``."""
    yield ChannelPlugin(name="webhook", config=WebhookConfig, open=WebhookChannel, address_of=lambda contact: None)
