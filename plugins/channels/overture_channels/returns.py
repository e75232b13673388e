"""Addresses that mails come back to (VERP): each names its message, and shows that we sent it.

Nothing is kept: the token in the address is a MAC of the message's id, and a mail that comes back brings the id along
(`HEADER`, in what it quotes of the mail).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Collection

from pydantic import SecretStr

from overture_channels.mail import mailbox

MARK = "{token}"
LENGTH = 24  # characters of a token: lower case, because not every server keeps the case of an address
LEAST_KEY = 16  # characters
_MATTER = b"overture.return\n"
_LOCAL = 64  # characters that the part before the @ may have


class ReturnAddress:
    """``pattern`` is an address with ``{token}`` before the @. Raises ValueError, without the key."""

    def __init__(self, pattern: str, *keys: SecretStr) -> None:
        local, _, self._domain = pattern.rpartition("@")
        self._before, mark, self._after = local.partition(MARK)
        example = pattern.replace(MARK, "x" * LENGTH)
        if not mark or MARK in self._after + self._domain or len(example.rpartition("@")[0]) > _LOCAL:
            raise ValueError(f"it must have {MARK} once before the @, beside at most {_LOCAL - LENGTH} characters")
        if not pattern.isascii() or mailbox(example).addr_spec != example:
            raise ValueError("it is no plain e-mail address")
        self._keys = [key.get_secret_value().encode() for key in keys]
        if any(len(key) < LEAST_KEY for key in self._keys):
            raise ValueError(f"the key must have at least {LEAST_KEY} characters")

    def of(self, message: str) -> str:
        """The address that belongs to the message of this id."""
        return f"{self._before}{_token(self._keys[0], message)}{self._after}@{self._domain}"

    def token(self, address: str) -> str:
        """The one in an address of ours, whether we made it or not; empty for any other address."""
        local, _, domain = address.strip().lower().rpartition("@")
        before, after = self._before.lower(), self._after.lower()
        fits = domain == self._domain.lower() and len(local) == len(before) + LENGTH + len(after)
        fits = fits and local.startswith(before) and local.endswith(after)
        return local[len(before) : len(before) + LENGTH] if fits else ""

    def proves(self, tokens: Collection[str], message: str) -> bool:
        """Whether one of the tokens is that of the message of this id. One MAC a key, however many tokens there are."""
        own = [_token(key, message).encode() for key in self._keys]
        given = [token.encode("utf-8", "replace") for token in tokens]
        return any(hmac.compare_digest(each, right) for right in own for each in given)


def _token(key: bytes, message: str) -> str:
    mac = hmac.digest(key, _MATTER + message.encode("utf-8", "replace"), "sha256")
    return base64.b32encode(mac[: LENGTH * 5 // 8]).decode().lower()
