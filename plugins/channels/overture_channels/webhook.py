"""Webhooks after the Standard Webhooks specification (standardwebhooks.com): signed JSON to a public address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
import msgspec
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from standardwebhooks import Webhook
from yarl import URL

from overture.model import clock
from overture.plugin import (
    AmbiguousHandOff,
    ChannelPlugin,
    EgressRefused,
    Limits,
    Outgoing,
    Rejected,
    RetryLater,
    Secret,
    Sent,
    guarded_connector,
    hookimpl,
)
from overture.plugin.egress import networks
from overture_channels.mail import header_id

_BASE64 = re.compile(r"(whsec_)?[A-Za-z0-9+/]+={0,2}")
READ_AT_MOST = 16 * 1024  # bytes of an answer's body, read only so that the connection can be used again


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
    """One client session, made at the first use. It follows no redirects and knows no proxy and no cookies."""

    def __init__(self, config: WebhookConfig) -> None:
        self._config = config
        self._signer = Webhook(config.secret.get_secret_value()) if config.secret else None
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<WebhookChannel {'signed' if self._signer else 'unsigned'}>"

    async def send(self, message: Outgoing) -> Sent | Rejected:
        url = _target(message.to)
        if url is None:
            return Rejected("webhook.url_invalid", "The address is not an http(s) URL, or has a user name in it.", True)
        body = payload(message)
        try:
            request = self._open().post(url, data=body, headers=self._headers(message, body), allow_redirects=False)
            async with request as response:
                status, headers = response.status, response.headers
                with suppress(aiohttp.ClientError, TimeoutError):  # the status has decided already
                    await response.content.read(READ_AT_MOST)
        except aiohttp.ClientConnectorCertificateError:
            raise RetryLater(code="webhook.certificate", message=f"{url.host} has no valid certificate.") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, EgressRefused):
                return Rejected("webhook.egress_refused", f"{url.host} leads to an address that must not be called.")
            raise RetryLater(code="webhook.unreachable", message=f"{url.host} cannot be reached.") from None
        except aiohttp.ConnectionTimeoutError:
            raise RetryLater(code="webhook.unreachable", message=f"{url.host} cannot be reached in time.") from None
        except aiohttp.InvalidURL:
            return Rejected("webhook.url_invalid", "The address is not a URL that can be called.", True)
        except (aiohttp.ClientError, TimeoutError) as error:
            text = f"{url.host} did not confirm a request that was on its way: {type(error).__name__}."
            raise AmbiguousHandOff(text, "webhook.unconfirmed") from None
        return _judge(status, headers, url.host or "")

    async def check(self) -> None:
        """Each message names its own receiver, so there is nothing to reach; a closed channel raises."""
        self._open()

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._closed:
            raise RuntimeError("the channel is closed")
        if self._session is None:
            connect = min(self._config.timeout / 2, 5.0)
            self._session = aiohttp.ClientSession(
                connector=guarded_connector(self._config.egress_allow),
                timeout=aiohttp.ClientTimeout(total=self._config.timeout, sock_connect=connect),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                headers={"User-Agent": "Overture"},
            )
        return self._session

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


def _judge(status: int, headers: Mapping[str, str], host: str) -> Sent | Rejected:
    said = f"{host} answered {status}."
    if 200 <= status < 300:
        return Sent()
    if status in (408, 429) or status >= 500:
        raise RetryLater(_retry_after(headers.get("Retry-After", "")), f"webhook.{status}", said)
    if 300 <= status < 400:
        return Rejected("webhook.redirected", f"{said} Redirects are not followed.")
    return Rejected(f"webhook.{status}", said, permanent=status == 410)


def _retry_after(value: str) -> float | None:
    """Seconds, from either form of RFC 9110: a number, or a date."""
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - clock.wall() / 1000)
    except (ValueError, TypeError, OverflowError):
        return None


@hookimpl
def overture_channels() -> Iterable[ChannelPlugin[WebhookConfig]]:
    """No contact has a webhook of its own: the rule names the address in ``to``."""
    yield ChannelPlugin(name="webhook", config=WebhookConfig, open=WebhookChannel, address_of=lambda contact: None)
