"""Amazon SNS: is a message really from one of our topics? Certificates are fetched from Amazon, and nobody else."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from ssl import SSLContext
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.x509 import Certificate, load_pem_x509_certificate
from yarl import URL

from overture.model import clock
from overture.plugin import guarded_connector
from overture_sources.reports import at_text, text
from overture_sources.signing import unsigned

_HOST = re.compile(r"sns\.[a-z0-9-]{1,40}\.amazonaws\.com(\.cn)?")
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[A-Za-z0-9]{1,80}\.pem")
_NOTICE = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_HANDSHAKE = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
REMEMBERED = 16  # certificates
MOST = 64 * 1024  # bytes of an answer
TIMEOUT = 5.0  # seconds; a source has ten


class Amazon:
    """Calls Amazon, and nobody else: TLS, no redirects, no proxy, public addresses only.

    ``resolver``, ``tls`` and ``allow`` (networks) are the system's own, and none, unless given.
    """

    def __init__(
        self, resolver: AbstractResolver | None = None, tls: SSLContext | None = None, allow: tuple[str, ...] = ()
    ) -> None:
        self._resolver, self._tls, self._allow = resolver, tls, allow
        self._session: aiohttp.ClientSession | None = None
        self._certificates: dict[str, Certificate] = {}

    async def certificate(self, address: str) -> Certificate:
        """Fetched once. Raises `Refuse` for an address that is not one of Amazon's certificates."""
        url = _amazons(address)
        if url is None or not _CERTIFICATE.fullmatch(url.raw_path) or url.raw_query_string:
            raise unsigned("its certificate is not Amazon's")
        if (known := self._certificates.get(str(url))) is not None:
            return known
        status, body = await self._get(url)
        try:
            certificate = load_pem_x509_certificate(body) if status == 200 else None
        except ValueError:
            certificate = None
        if certificate is None:
            if status >= 500:
                raise ConnectionError(f"{url.host} answered {status}")
            raise unsigned("there is no such certificate")
        if len(self._certificates) >= REMEMBERED:
            self._certificates.pop(next(iter(self._certificates)))
        self._certificates[str(url)] = certificate
        return certificate

    async def confirm(self, address: str) -> None:
        """Follow the link that confirms a subscription. Raises `Refuse` where it is not Amazon's."""
        url = _amazons(address)
        if url is None:
            raise unsigned("its SubscribeURL is not Amazon's")
        status, _ = await self._get(url)
        if status != 200:
            raise ConnectionError(f"{url.host} answered {status}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _get(self, url: URL) -> tuple[int, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=guarded_connector(self._allow, self._resolver),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                headers={"User-Agent": "Overture"},
            )
        async with self._session.get(url, allow_redirects=False, ssl=self._tls or True) as answer:
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > MOST:
                    raise ConnectionError(f"{url.host} answered too much")
            return answer.status, bytes(body)


async def verify(message: Mapping[str, Any], topics: tuple[str, ...], amazon: Amazon, tolerance: int) -> None:
    """Raises `Refuse` unless Amazon has signed it for one of the topics, at most ``tolerance`` seconds ago.

    Anybody can have a topic, whose messages Amazon signs as well: the signature alone tells nothing.
    """
    if not any(text(message.get("TopicArn")) == topic for topic in topics):
        raise unsigned("it is not from one of the topics in the settings")
    moment = at_text(message.get("Timestamp"))
    if moment is None or abs(clock.wall() / 1000 - moment.timestamp()) > tolerance:
        raise unsigned("its time is missing or too far from now")
    kind = {"1": SHA1, "2": SHA256}.get(text(message.get("SignatureVersion")))
    if kind is None:
        raise unsigned("its signature is of a version that is not known")
    certificate = await amazon.certificate(text(message.get("SigningCertURL")))
    now, key = datetime.fromtimestamp(clock.wall() / 1000, UTC), certificate.public_key()
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise unsigned("its certificate is not valid now")
    names = _NOTICE if message.get("Type") == "Notification" else _HANDSHAKE
    signed = "".join(f"{name}\n{text(message[name])}\n" for name in names if message.get(name) is not None)
    try:
        if not isinstance(key, RSAPublicKey):
            raise InvalidSignature
        signature = base64.b64decode(text(message.get("Signature")), validate=True)
        key.verify(signature, signed.encode("utf-8", "surrogatepass"), PKCS1v15(), kind())
    except (InvalidSignature, ValueError):
        raise unsigned("the signature is not of this message") from None


def _amazons(address: str) -> URL | None:
    """None for anything but an https URL of Amazon SNS, at the port that is usual."""
    try:
        url = URL(address)
        usual = url.scheme == "https" and url.port == 443 and url.user is None and url.password is None
    except ValueError:
        return None
    return url if usual and _HOST.fullmatch(url.raw_host or "") else None
