"""Who calls: one verifier for all signatures that are a keyed hash over the raw body."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr

from overture.model import clock
from overture.plugin import Incoming, Refuse

Algorithm = Literal["sha1", "sha256", "sha512"]
Encoding = Literal["hex", "base64"]
LONGEST = 4_096  # of a signature header


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """How a service signs.

    ``header`` has the signature after ``prefix``; with ``fields`` it has ``t=<time>,v1=<signature>``, several of these
    perhaps. ``timestamp`` is the header with the time (Unix, seconds), empty for none. ``signed`` is what is hashed:
    ``{body}``, and ``{timestamp}`` where there is one.
    """

    header: str
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    timestamp: str = ""
    fields: bool = False
    signed: str = "{body}"


STRIPE = Scheme(header="stripe-signature", fields=True, signed="{timestamp}.{body}")
CALENDLY = Scheme(header="calendly-webhook-signature", fields=True, signed="{timestamp}.{body}")
SHOPIFY = Scheme(header="x-shopify-hmac-sha256", encoding="base64")
WOOCOMMERCE = Scheme(header="x-wc-webhook-signature", encoding="base64")
TYPEFORM = Scheme(header="typeform-signature", encoding="base64", prefix="sha256=")
GITHUB = Scheme(header="x-hub-signature-256", prefix="sha256=")


def unsigned(why: str) -> Refuse:
    """The one refusal of a caller that did not prove who it is."""
    return Refuse("source.signature", f"This request is not signed as it must be: {why}.", 401)


def verify(request: Incoming, scheme: Scheme, secrets: Iterable[SecretStr], tolerance: int) -> None:
    """Raises `Refuse` 401 unless one of the secrets has signed this very body; where the service signs a time as well,
    at most ``tolerance`` seconds ago.
    """
    given = request.headers.get(scheme.header, "")
    if not given or len(given) > LONGEST:
        raise unsigned(f"the header {scheme.header} is missing")
    time, candidates = _read(scheme, given, request.headers)
    if "{timestamp}" in scheme.signed:
        fresh(time, tolerance)
    before, _, after = scheme.signed.partition("{body}")
    told = before.replace("{timestamp}", time).encode() + request.body + after.replace("{timestamp}", time).encode()
    signatures = [raw for each in candidates if (raw := _decoded(each, scheme.encoding))]
    right = [
        hmac.new(secret.get_secret_value().encode(), told, getattr(hashlib, scheme.algorithm)).digest()
        for secret in secrets
    ]
    matches = [hmac.compare_digest(mine, theirs) for mine in right for theirs in signatures]
    if not any(matches):
        raise unsigned("the signature is not of this body")


def fresh(time: str, tolerance: int) -> None:
    """Raises `Refuse` unless a signed Unix time is within ``tolerance`` seconds of now, either way."""
    if not time.isascii() or not time.isdigit() or len(time) > 12:
        raise unsigned("its time is missing")
    if abs(clock.wall() // 1000 - int(time)) > tolerance:
        raise unsigned("its time is too far from now")


def same(one: str, other: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def _read(scheme: Scheme, given: str, headers: Mapping[str, str]) -> tuple[str, list[str]]:
    """The time and the signatures."""
    if scheme.fields:
        pairs = [part.strip().partition("=") for part in given.split(",")]
        times = [value for name, _, value in pairs if name == "t"]
        return (times[0] if len(times) == 1 else ""), [value for name, _, value in pairs if name == "v1"]
    time = headers.get(scheme.timestamp, "") if scheme.timestamp else ""
    if not given.startswith(scheme.prefix):
        return time, []
    return time, [given[len(scheme.prefix) :].strip()]


def _decoded(text: str, encoding: Encoding) -> bytes:
    try:
        return bytes.fromhex(text) if encoding == "hex" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""
