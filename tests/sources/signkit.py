"""Requests as services make them, signed as their documentation says."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from overture.plugin import Incoming

SECRET = "s3cret-of-this-test"


def request(body: bytes | Any, **headers: str) -> Incoming:
    """A POST; a body that is not bytes is sent as JSON. ``_`` in the names of headers stands for ``-``."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    return Incoming(
        method="POST", endpoint="~", parts={}, query={}, headers=named, body=raw, inflated=raw, at=0, peer="127.0.0.1"
    )


def now(ago: int = 0) -> str:
    return str(int(time.time()) - ago)


def hexed(told: bytes, secret: str = SECRET, algorithm: str = "sha256") -> str:
    return hmac.new(secret.encode(), told, getattr(hashlib, algorithm)).hexdigest()


def based(told: bytes, secret: str = SECRET) -> str:
    return base64.b64encode(hmac.new(secret.encode(), told, hashlib.sha256).digest()).decode()


def fields(told: bytes, at: str, secret: str = SECRET) -> str:
    """As Stripe and Calendly write it."""
    return f"t={at},v1={hexed(at.encode() + b'.' + told, secret)},v0=00"


class SendgridKey:
    """An ECDSA key, whose other half SendGrid shows as base64."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.public = base64.b64encode(der).decode()

    def headers(self, body: bytes, at: str) -> dict[str, str]:
        signature = self._key.sign(at.encode() + body, ec.ECDSA(SHA256()))
        return {
            "X_Twilio_Email_Event_Webhook_Signature": base64.b64encode(signature).decode(),
            "X_Twilio_Email_Event_Webhook_Timestamp": at,
        }


def mailgun(event: dict[str, Any], at: str, token: str = "a" * 50, secret: str = SECRET) -> dict[str, Any]:
    signature = {"timestamp": at, "token": token, "signature": hexed(f"{at}{token}".encode(), secret)}
    return {"signature": signature, "event-data": event}
