"""The links that messages carry: signed, so that who holds one can act for its contact in that one matter."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeVar, cast

import msgspec

from overture.decide.consent import NEEDS_NO_CONSENT
from overture.model import Message, Refused
from overture.model.ids import digest

PATH = "/subscription/"
OPENED, CLICKED = "/o/", "/c/"
CONFIRM_DAYS = 30  # a link to confirm with holds so long; the others hold as long as the key that signed them
HEADER = 900  # characters of a URL in a mail's header, at most: a line of it has at most 998
VISITOR_DAYS = 30  # so long somebody is known by the message that led to a page
_DAY = 86_400_000
_MAC = 16  # bytes

T = TypeVar("T")
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


class Visitor(msgspec.Struct, frozen=True, array_like=True):
    """Who follows a message to a page of the app's: whom it went to on which channel, as of ``at`` (ms)."""

    contact: str
    channel: str
    at: int
    address: bytes  # as in `Claim`


class Trail(msgspec.Struct, frozen=True, array_like=True):
    """What is known of who opens a message, or follows a link of it to ``url``. ``at``: when it was decided (ms)."""

    contact: str
    message: str
    channel: str
    url: str  # empty: it was opened
    at: int


class Pass(msgspec.Struct, frozen=True, array_like=True):
    """Who holds it reads the inbox of the contact until then, by the wall clock (ms)."""

    contact: str
    until: int


class Signing(Protocol):
    """The keys: `overture.state.linkkeys.LinkKeys`."""

    def newest(self) -> tuple[int, bytes]: ...
    def get(self, number: int) -> bytes | None: ...


_encode = msgspec.msgpack.Encoder().encode
_claim = msgspec.msgpack.Decoder(tuple[int, Claim]).decode
_visitor = msgspec.msgpack.Decoder(tuple[int, Visitor]).decode
_trail = msgspec.msgpack.Decoder(tuple[int, Trail]).decode
_pass = msgspec.msgpack.Decoder(tuple[int, Pass]).decode
# What is signed for the one is nothing to the others.
_LINK, _VISITOR, _TRAIL = b"overture.link\n", b"overture.visitor\n", b"overture.trail\n"
_INBOX = b"overture.inbox\n"


class Links:
    """Makes links and reads them. ``base`` is the public URL of the server, without a slash at its end."""

    def __init__(self, keys: Signing, base: str) -> None:
        self.base = base
        self._keys = keys

    def url(self, claim: Claim) -> str:
        """The same for the same claim, until another key signs."""
        return f"{self.base}{PATH}{self._signed(claim, _LINK)}"

    def token(self, visitor: Visitor) -> str:
        """What a page hands back, so that it is known who came; holds for `VISITOR_DAYS`."""
        return self._signed(visitor, _VISITOR)

    def opened(self, trail: Trail) -> str:
        """Where the image is that tells that a message was opened."""
        return f"{self.base}{OPENED}{self._signed(trail, _TRAIL)}.gif"

    def clicked(self, trail: Trail) -> str:
        """What leads to ``trail.url`` over this server."""
        return f"{self.base}{CLICKED}{self._signed(trail, _TRAIL)}"

    def trail(self, token: str) -> Trail:
        """What `opened` and `clicked` signed, however long ago. Raises Refused 404 ``link.invalid``."""
        return self._read(token, _trail, _TRAIL)

    def read(self, token: str, now: int) -> Claim:
        """Raises Refused: 404 ``link.invalid`` for what we did not sign, 410 ``link.expired``."""
        claim = self._read(token, _claim, _LINK)
        if claim.kind == "confirm" and now > claim.at + CONFIRM_DAYS * _DAY:
            raise _expired(CONFIRM_DAYS, "Sign up once more to get a new one.")
        return claim

    def visitor(self, token: str, now: int) -> Visitor:
        """As `read`, of a `token`."""
        visitor = self._read(token, _visitor, _VISITOR)
        if now > visitor.at + VISITOR_DAYS * _DAY:
            raise _expired(VISITOR_DAYS, "Ask without it, as of a visitor who is not known.")
        return visitor

    def admission(self, to: Pass) -> str:
        """What a page reads an inbox with."""
        return self._signed(to, _INBOX)

    def admitted(self, token: str, now: int) -> Pass:
        """What `admission` signed. Raises Refused 401 ``inbox.token``; ``now`` by the wall clock (ms)."""
        try:
            found = self._read(token, _pass, _INBOX)
        except Refused:
            found = None
        if found is None or now >= found.until:
            text = "This is no token for an inbox, or no longer."
            raise Refused("inbox.token", text, "Have the app get another one.", status=401)
        return found

    def _signed(self, value: Claim | Visitor | Trail | Pass, matter: bytes) -> str:
        number, key = self._keys.newest()
        body = _encode((number, value))
        return _text(body + _mac(key, matter, body))

    def _read(self, token: str, decode: Callable[[bytes], tuple[int, T]], matter: bytes) -> T:
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            number, value = decode(raw[:-_MAC])
        except (binascii.Error, ValueError, msgspec.DecodeError):
            raise _invalid() from None
        key = self._keys.get(number)
        if key is None or not hmac.compare_digest(_mac(key, matter, raw[:-_MAC]), raw[-_MAC:]):
            raise _invalid()
        if _text(raw) != token:  # several texts decode to the same bytes; a link is the one that we made
            raise _invalid()
        return value

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
        visitor = self.token(Visitor(contact, message.channel, at, where))
        found = {"preferences": preferences, "unsubscribe": preferences, "visitor": visitor}
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
    pages = {kind: f"https://overture.invalid{PATH}{kind}" for kind in ("confirm", "unsubscribe", "preferences")}
    return {**pages, "visitor": "visitor"}


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


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _mac(key: bytes, matter: bytes, body: bytes) -> bytes:
    return hmac.digest(key, matter + body, "sha256")[:_MAC]


def _expired(days: int, hint: str) -> Refused:
    return Refused("link.expired", f"This link was good for {days} days.", hint, status=410)


def _invalid() -> Refused:
    text = "This link is not one of ours, or is no longer good."
    return Refused("link.invalid", text, "Use the one in your newest mail.", status=404)
