"""Web Push (RFC 8030): messages to browsers, encrypted for each (RFC 8291), from a sender that they know (RFC 8292)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import aiohttp
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from yarl import URL

from overture.model import clock
from overture.model.contact import Contact
from overture.model.ids import digest
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
    own_address,
)
from overture.plugin.egress import networks
from overture_channels.http import Caller, Reply, retry_after
from overture_channels.mail import plain
from overture_channels.service import here

LARGEST = 4096 - 103  # bytes: what push services must take (RFC 8030), without what encryption adds
GOOD_FOR = 12 * 3600  # seconds that a push service may hold on to our proof of who we are; at most a day
FOUR_WEEKS = 28 * 86_400


class WebPushConfig(BaseModel):
    """``private_key``: of VAPID, as PEM or as 32 bytes in base64url; ``subject``: ``mailto:`` or ``https:``, where push
    services reach whoever sends. ``ttl``: seconds that a message waits for its browser; ``urgency`` as in RFC 8030.
    ``egress_allow``: networks (CIDR) besides the public internet; ``timeout`` in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    private_key: Secret
    subject: str = Field(pattern=r"^(mailto:[^\s@]+@[^\s@]+|https://[^\s/]+.*)$")
    ttl: int = Field(default=FOUR_WEEKS, ge=0, le=FOUR_WEEKS, strict=True)
    urgency: Literal["very-low", "low", "normal", "high"] = "normal"
    egress_allow: tuple[str, ...] = ()
    timeout: float = Field(default=15.0, gt=0, le=Limits().timeout, strict=True)

    @field_validator("private_key")
    @classmethod
    def _usable(cls, value: SecretStr) -> SecretStr:
        vapid_key(value.get_secret_value())
        return value

    @field_validator("egress_allow")
    @classmethod
    def _egress_allow(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        networks(value)
        return value


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a browser answered when it subscribed: where to post, and what to encrypt for."""

    endpoint: URL
    p256dh: bytes
    auth: bytes


class WebPushChannel:
    """Posts each message to the push service of the contact's browser."""

    def __init__(self, config: WebPushConfig) -> None:
        try:
            import py_vapid
            import pywebpush
        except ImportError:
            raise RuntimeError("The channel web_push needs pywebpush: pip install 'overture[webpush]'") from None
        self._pusher = pywebpush.WebPusher
        self._vapid = py_vapid.Vapid02(vapid_key(config.private_key.get_secret_value()), {"no-strict": True})
        self._config = config
        self._http = Caller("web_push", config.timeout, config.egress_allow)

    def __repr__(self) -> str:
        return f"<WebPushChannel {self._config.subject}>"

    async def send(self, message: Outgoing) -> Sent | Rejected:
        to = subscription(message.to)
        if to is None:
            text = "The address is no subscription of a browser, in JSON with endpoint and keys."
            return Rejected("web_push.address_invalid", text, permanent=True)
        body = payload(message)
        if len(body) > LARGEST:
            text = f"The message has {len(body)} bytes of JSON, and a browser gets at most {LARGEST}."
            return Rejected("web_push.too_large", text)
        try:
            reply = await self._http.call("POST", to.endpoint, self._encrypted(to, body), self._headers(to, message))
        except EgressRefused:
            text = f"{to.endpoint.host} leads to an address that must not be called."
            return Rejected("web_push.egress_refused", text)
        except aiohttp.InvalidURL:
            return Rejected("web_push.address_invalid", "The address cannot be called.", permanent=True)
        except ValueError:  # a point that is not on the curve
            return Rejected("web_push.address_invalid", "The keys of the subscription are none.", permanent=True)
        return _judge(reply, to.endpoint.host or "")

    async def check(self) -> None:
        """Each browser has a push service of its own, so there is nothing to reach; a closed channel raises."""
        self._http.open()

    async def close(self) -> None:
        await self._http.close()

    def _encrypted(self, to: Subscription, body: bytes) -> bytes:
        keys = {"p256dh": _base64url(to.p256dh), "auth": _base64url(to.auth)}
        encoded: Mapping[str, Any] = self._pusher({"endpoint": str(to.endpoint), "keys": keys}).encode(body)
        return encoded["body"]

    def _headers(self, to: Subscription, message: Outgoing) -> dict[str, str]:
        claims = {
            "aud": str(to.endpoint.origin()),
            "exp": clock.wall() // 1000 + GOOD_FOR,
            "sub": self._config.subject,
        }
        headers = {
            **cast("dict[str, str]", self._vapid.sign(claims)),
            "Content-Type": "application/octet-stream",
            "Content-Encoding": "aes128gcm",
            "TTL": str(self._config.ttl),
            "Urgency": self._config.urgency,
        }
        if topic := message.data.get("topic"):
            headers["Topic"] = _base64url(digest("topic", str(topic)))
        return headers


def payload(message: Outgoing) -> bytes:
    """What the page's service worker is given: JSON, the same at each hand-off."""
    told = {"id": message.id, "title": message.subject, "body": message.text, "data": message.data}
    return msgspec.json.encode(told)


def subscription(text: str) -> Subscription | None:
    """The text as a browser's ``JSON.stringify(subscription)`` makes it; None where it is none."""
    try:
        told: Any = msgspec.json.decode(text.encode("utf-8", "replace"))
        url = URL(told["endpoint"])
        p256dh, auth = (_bytes(told["keys"][name]) for name in ("p256dh", "auth"))
    except (msgspec.DecodeError, ValueError, TypeError, KeyError, AttributeError, RecursionError):  # anyone wrote it
        return None
    if url.scheme not in ("http", "https") or url.user is not None or url.password is not None:
        return None
    if not url.host or ":" in url.host:  # an address of IPv6: no push service has one, nor has VAPID a place for it
        return None
    if url.scheme == "http" and not here(url.host):
        return None
    return Subscription(url, p256dh, auth) if len(p256dh) == 65 and p256dh[0] == 4 and len(auth) == 16 else None


def vapid_key(text: str) -> ec.EllipticCurvePrivateKey:
    """The private key in a PEM, or of 32 bytes in base64url. Raises ValueError, without the value."""
    try:
        if "-----BEGIN" in text:
            found: object = load_pem_private_key(text.encode(), None)
        else:
            raw = _bytes(text.strip())
            found = ec.derive_private_key(int.from_bytes(raw), ec.SECP256R1()) if len(raw) == 32 else None
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it is encrypted
        found = None
    if not isinstance(found, ec.EllipticCurvePrivateKey) or not isinstance(found.curve, ec.SECP256R1):
        raise ValueError("this is no private key of the curve P-256, as PEM or in base64url")
    return found


def _bytes(text: str) -> bytes:
    """From base64url, with or without padding; ValueError where it is none."""
    bare = text.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("this is not base64url") from None


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _judge(reply: Reply, host: str) -> Sent | Rejected:
    said = f"{host} answered {reply.status}."
    if 200 <= reply.status < 300:
        return Sent(plain(reply.headers.get("Location", "")))
    if reply.later:
        raise RetryLater(retry_after(reply.headers), f"web_push.{reply.status}", said)
    if 300 <= reply.status < 400:
        return Rejected("web_push.redirected", f"{said} Redirects are not followed.")
    if reply.status in (404, 410):
        return Rejected(f"web_push.{reply.status}", f"{said} The browser is not subscribed any more.", permanent=True)
    return Rejected(f"web_push.{reply.status}", said)


def _address(contact: Contact) -> str | None:
    return own_address(contact, "web_push")


@hookimpl
def overture_channels() -> Iterable[ChannelPlugin[WebPushConfig]]:
    yield ChannelPlugin(name="web_push", config=WebPushConfig, open=WebPushChannel, address_of=_address)
