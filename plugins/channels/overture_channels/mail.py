"""A message as RFC 5322 text: byte for byte the same at each hand-off, with headers that nobody can inject into."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime, parseaddr
from urllib.parse import quote

from overture.model.ids import digest
from overture.plugin import Outgoing
from overture_channels.markup import readable

_VISIBLE = "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"  # printable ASCII except the percent sign, which marks the escapes
_IN_URL = "!#$%&'()*+,-./:;=?@[]_~"
_LOCAL = re.compile(r'[^\s()<>\[\]:;,\\"@\x00-\x1f\x7f]{1,64}')
_DOMAIN = re.compile(r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
_ONE_LINE = frozenset({"message-id", "x-overture-message", "list-unsubscribe", "list-unsubscribe-post"})


class AddressInvalid(ValueError):
    """What a message is for is no address; the text is a sentence without its full stop."""


class MailPolicy(EmailPolicy):
    """The standard policy folds a long URL or id into an encoded word, which nobody takes for a URL or id any more."""

    def fold(self, name: str, value: str) -> str:
        return f"{name}: {value}{self.linesep}" if name.lower() in _ONE_LINE else super().fold(name, value)

    def fold_binary(self, name: str, value: str) -> bytes:
        if name.lower() in _ONE_LINE:
            return self.fold(name, value).encode("ascii")
        return super().fold_binary(name, value)


@dataclass(frozen=True, slots=True)
class Mail:
    """The envelope and the content. ``utf8``: the envelope needs the SMTPUTF8 extension."""

    sender: str
    to: str
    content: bytes
    utf8: bool


def plain(value: object) -> str:
    """One line for a header or a record: no control characters, no lone surrogates, at most 500 characters.

    ``=?`` is broken up, so that no encoded word survives: on Python before 3.11.10 one can smuggle in a line break
    (CVE-2024-6923), on any it can hide what the text says.
    """
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in str(value)[:1000])
    return " ".join(text.replace("=?", "= ?").split())[:500]


def mailbox(text: str) -> Address:
    """``ada@example.com`` or ``Ada <ada@example.com>``, the domain in ASCII form. `AddressInvalid` where it is
    neither.
    """
    name, spec = parseaddr(text)
    local, _, domain = spec.rpartition("@")
    try:
        domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        domain = ""
    if not text.isprintable() or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise AddressInvalid("the address is not an e-mail address")
    return Address(plain(name), local, domain)


def recipient(text: str) -> Address:
    """A bare address: with a display name or a second address it would not be one the gate has judged."""
    if parseaddr(text)[1] != text:
        raise AddressInvalid("the address is not an e-mail address")
    return mailbox(text)


def header_id(message_id: str) -> str:
    """The message id for a header: as it is, but for characters outside visible ASCII and ``%``, which are escaped."""
    return quote(message_id.encode("utf-8", "replace"), safe=_VISIBLE)


def own_headers(message: Outgoing) -> dict[str, str]:
    """What names the message as ours, and unsubscribes from its like with one click (RFC 8058). ASCII."""
    headers = {"X-Overture-Message": header_id(message.id)}
    if message.unsubscribe:
        headers["List-Unsubscribe"] = f"<{quote(message.unsubscribe, safe=_IN_URL)}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers


def compose(message: Outgoing, sender: str, returns: str = "") -> Mail:
    """Everything follows from the message, so a second hand-off can be recognised. ``returns``: where it comes back to,
    if not to the sender. What is HTML has a plain text beside it, the message's own or one made of the HTML.

    `AddressInvalid` for a bad address; another ValueError is a fault of the content.
    """
    to, origin = recipient(message.to), mailbox(sender)
    utf8 = not (to.addr_spec + origin.addr_spec).isascii()
    mark = digest("mail", message.id).hex()
    mail = EmailMessage(policy=MailPolicy(linesep="\r\n", utf8=utf8, cte_type="7bit"))
    mail["From"] = origin
    mail["To"] = to
    mail["Subject"] = plain(message.subject)
    mail["Date"] = format_datetime(datetime.fromtimestamp(message.created_at // 1000, UTC))
    mail["Message-ID"] = f"<{mark}@{origin.domain}>"
    for name, value in own_headers(message).items():
        mail[name] = value
    text, html = readable(_body(message.text), _body(message.html))
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
        mail.set_boundary(f"overture-{mark}")
    return Mail(returns or origin.addr_spec, to.addr_spec, mail.as_bytes(), utf8)


def _body(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\x00", "")
