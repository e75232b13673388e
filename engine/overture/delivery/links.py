"""The links that messages carry: signed, so that who holds one can act for its contact in that one matter."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from typing import Any, Literal, Protocol, cast

import msgspec

from overture.decide.consent import NEEDS_NO_CONSENT
from overture.model import Message, Refused
from overture.model.ids import digest

PATH = "/subscription/"
CONFIRM_DAYS = 30  # a link to confirm with holds so long; the others hold as long as the key that signed them
HEADER = 900  # characters of a URL in a mail's header, at most: a line of it has at most 998
_DAY = 86_400_000
_MAC = 16  # bytes

Kind = Literal["confirm", "unsubscribe", "preferences"]


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """What a link says: for which contact, channel and purpose, and the message that carried it, as of ``at`` (ms).

    ``address`` is a digest of where that message went.
    """

    kind: Kind
    contact: str
    channel: str
    purpose: str
    message: str
    at: int
    address: bytes


class Signing(Protocol):
    """The keys: `overture.state.linkkeys.LinkKeys`."""

    def newest(self) -> tuple[int, bytes]: ...
    def get(self, number: int) -> bytes | None: ...


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, Claim]).decode


class Links:
    """Makes links and reads them. ``base`` is the public URL of the server, without a slash at its end."""

    def __init__(self, keys: Signing, base: str) -> None:
        self.base = base
        self._keys = keys

    def url(self, claim: Claim) -> str:
        """The same for the same claim, until another key signs."""
        number, key = self._keys.newest()
        body = _encode((number, claim))
        token = base64.urlsafe_b64encode(body + _mac(key, body)).decode().rstrip("=")
        return f"{self.base}{PATH}{token}"

    def read(self, token: str, now: int) -> Claim:
        """Raises Refused: 404 ``link.invalid`` for what we did not sign, 410 ``link.expired``."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            number, claim = _decode(raw[:-_MAC])
        except (binascii.Error, ValueError, msgspec.DecodeError):
            raise _invalid() from None
        key = self._keys.get(number)
        if key is None or not hmac.compare_digest(_mac(key, raw[:-_MAC]), raw[-_MAC:]):
            raise _invalid()
        if claim.kind == "confirm" and now > claim.at + CONFIRM_DAYS * _DAY:
            hint = "Sign up once more to get a new one."
            raise Refused("link.expired", f"This link was good for {CONFIRM_DAYS} days.", hint, status=410)
        return claim

    def of(self, message: Message, contact: str, address: str) -> dict[str, str]:
        """What a template reads as ``links``. A message to somebody else than the contact has none; ``confirm`` is
        there where the message follows a consent that waits to be confirmed, on the channel of the message itself. What
        needs no consent cannot be unsubscribed from: there ``unsubscribe`` leads to the preferences.
        """
        if message.to:
            return {}
        where, at = address_digest(address), message.created_at

        def link(kind: Kind, purpose: str) -> str:
            return self.url(Claim(kind, contact, message.channel, purpose, message.id, at, where))

        preferences = link("preferences", message.purpose)
        found = {"preferences": preferences, "unsubscribe": preferences}
        if message.purpose != NEEDS_NO_CONSENT:
            found["unsubscribe"] = link("unsubscribe", message.purpose)
        if asked := _asked(message):
            found["confirm"] = link("confirm", asked)
        return found


def one_click(message: Message, links: Mapping[str, str]) -> str:
    """The URL for the header of a mail (RFC 8058); empty for what needs no consent, and where it would be too long."""
    url = links.get("unsubscribe", "")
    return "" if message.purpose == NEEDS_NO_CONSENT or len(url) > HEADER else url


def examples() -> dict[str, str]:
    """Links as they look, for tests of rulesets; they lead nowhere."""
    return {kind: f"https://overture.invalid{PATH}{kind}" for kind in ("confirm", "unsubscribe", "preferences")}


def address_digest(address: str) -> bytes:
    return digest("address", address)[:8]


def _asked(message: Message) -> str:
    """The purpose of the consent fact that the message, or the journey that sends it, follows; empty for none."""
    journey = message.context.get("journey")
    began = cast(dict[str, Any], journey).get("fact") if isinstance(journey, dict) else None
    for fact in (message.context.get("fact"), began):
        if isinstance(fact, dict):
            said = cast(dict[str, Any], fact)
            purpose = said.get("purpose")
            if said.get("state") == "pending" and said.get("channel") == message.channel and isinstance(purpose, str):
                return purpose
    return ""


def _mac(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, b"overture.link\n" + body, "sha256")[:_MAC]


def _invalid() -> Refused:
    text = "This link is not one of ours, or is no longer good."
    return Refused("link.invalid", text, "Use the one in your newest mail.", status=404)
