"""DKIM signatures (RFC 6376), with RSA or Ed25519 keys (RFC 8463)."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from textwrap import wrap

import dkim
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from dkim.canonicalization import CanonicalizationPolicy
from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from overture.plugin import Secret

Key = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

LEAST_BITS = 1024  # of an RSA key: verifiers must not take shorter ones (RFC 8301)
SIGNED = (
    "from", "to", "subject", "date", "message-id", "mime-version", "content-type", "content-transfer-encoding",
    "list-unsubscribe", "list-unsubscribe-post", "x-overture-message",
)  # fmt: skip
# Signed once more than they are there, so that nobody can add another one on the way.
OVERSIGNED = ("from", "to", "subject", "date", "reply-to", "cc", "mime-version", "content-type")

_CANON = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")


class DkimConfig(BaseModel):
    """``key``: the private key as PEM, RSA or Ed25519; for Ed25519 also 32 bytes in base64, as ``dknewkey`` writes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    domain: str
    selector: str
    key: Secret

    @field_validator("domain", "selector")
    @classmethod
    def _name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("this is no name in the DNS")
        return value

    @field_validator("key")
    @classmethod
    def _usable(cls, value: SecretStr) -> SecretStr:
        private_key(value.get_secret_value())
        return value


def private_key(text: str) -> Key:
    """Raises ValueError, without the value."""
    try:
        if "-----BEGIN" in text:
            found: object = load_pem_private_key(text.encode(), None)
        else:
            found = ed25519.Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))
    except (ValueError, TypeError):  # TypeError: it is encrypted
        found = None
    if isinstance(found, rsa.RSAPrivateKey) and found.key_size < LEAST_BITS:
        raise ValueError(f"the key has less than {LEAST_BITS} bits")
    if not isinstance(found, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise ValueError("this is no RSA or Ed25519 private key without a passphrase")
    return found


class Signer:
    """One key of one domain. Signing is CPU time: call it in a thread."""

    def __init__(self, config: DkimConfig) -> None:
        self._domain, self._selector = config.domain.lower(), config.selector.lower()
        self._key = private_key(config.key.get_secret_value())

    def __repr__(self) -> str:
        return f"<Signer {self._selector}._domainkey.{self._domain}>"

    def header(self, content: bytes, at: int) -> bytes:
        """The header ``DKIM-Signature`` of a mail, with its line end. The same for the same mail; ``at`` is seconds."""
        headers, body = dkim.rfc822_parse(content)
        there = [name.decode("ascii").lower() for name, _ in headers]
        names = [*(name for name in SIGNED if name in there), *OVERSIGNED]
        algorithm = "rsa" if isinstance(self._key, rsa.RSAPrivateKey) else "ed25519"
        body_hash = base64.b64encode(hashlib.sha256(_CANON.canonicalize_body(body)).digest()).decode()
        lines = [
            f"v=1; a={algorithm}-sha256; c=relaxed/relaxed; q=dns/txt; t={at};",
            f"d={self._domain};",
            f"s={self._selector};",
            *wrap(f"h={' : '.join(names)};", 72),
            f"bh={body_hash};",
            "b=",
        ]
        value = b" " + "\r\n\t".join(lines).encode()
        hashed = hashlib.sha256()
        signed = [name.encode() for name in names]
        dkim.hash_headers(hashed, _CANON, _CANON.canonicalize_headers(headers), signed, (b"DKIM-Signature", value), {})
        text = base64.b64encode(self._sign(hashed.digest())).decode()
        return b"DKIM-Signature:" + value + "\r\n\t".join(wrap(text, 72)).encode() + b"\r\n"

    def _sign(self, digest: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(digest, padding.PKCS1v15(), Prehashed(SHA256()))
        return self._key.sign(digest)


def signed(content: bytes, signers: Iterable[Signer], at: int) -> bytes:
    """The mail with the signature of each before it; none of them signs another's."""
    return b"".join([*(signer.header(content, at) for signer in signers), content])
