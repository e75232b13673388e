"""Compressed bodies: recognised by their bytes, inflated no further than the cap."""

from __future__ import annotations

import zlib

from overture.intake.caps import Caps
from overture.intake.codes import refused

GZIP = b"\x1f\x8b"
_MEMBERS = 1024  # gzip files may be concatenated; each member costs an inflater
_ENCODINGS = {"", "identity", "gzip", "x-gzip", "deflate"}


def inflate(body: bytes, encoding: str, caps: Caps) -> bytes:
    """The plain bytes of a body whose ``Content-Encoding`` was ``encoding``; the bytes win where they say otherwise.

    Memory is bounded by the cap, whatever the body promises. Raises `Refused` (``body.*``).
    """
    encoding = encoding.strip().lower()
    if encoding not in _ENCODINGS:
        raise refused("body.encoding")
    if body.startswith(GZIP):
        return _gunzip(body, caps.body)
    if encoding == "deflate" and not body.lstrip().startswith((b"{", b"[")):
        return _deflate(body, caps.body)
    return body


def _gunzip(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    for _ in range(_MEMBERS):
        member = zlib.decompressobj(wbits=31)
        part, body = _step(member, body, limit)
        parts.append(part)
        limit -= len(part)
        if not body.rstrip(b"\0"):  # tape padding is legal after the last member
            return b"".join(parts)
    raise refused("body.corrupt", "The body has too many gzip members.")


def _deflate(body: bytes, limit: int) -> bytes:
    # RFC 9110 says zlib; some clients send the bare stream. The low nibble 8 and the checksum tell them apart.
    wrapped = len(body) >= 2 and body[0] & 0x0F == 8 and int.from_bytes(body[:2], "big") % 31 == 0
    plain, rest = _step(zlib.decompressobj(wbits=15 if wrapped else -15), body, limit)
    if rest:
        raise refused("body.corrupt", "Bytes follow the deflate stream.")
    return plain


def _step(member: zlib._Decompress, body: bytes, limit: int) -> tuple[bytes, bytes]:  # pyright: ignore[reportPrivateUsage]
    try:
        plain = member.decompress(body, limit + 1)
    except zlib.error:
        raise refused("body.corrupt") from None
    if len(plain) > limit:
        raise refused("body.inflated_too_large")
    if not member.eof:
        raise refused("body.corrupt", "The compressed body is cut short.")
    return plain, member.unused_data
