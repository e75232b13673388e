"""What a body holds, told from its bytes: one fact, a JSON array, NDJSON or msgpack; and where each fact lies."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec

from overture.intake.caps import Caps
from overture.intake.codes import refused
from overture.intake.packed import MARKERS, pieces

_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
# A string without an end runs to the end of the text: the search never returns to a place it has passed.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
_one = msgspec.json.Decoder(msgspec.Raw).decode
_many = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Shape(NamedTuple):
    """``single``: the body is one fact rather than a batch of one. ``pieces``: the bytes of each fact, not yet read."""

    single: bool
    packed: bool
    pieces: list[bytes]


def shape(body: bytes, content_type: str, caps: Caps) -> Shape:
    """Split a plain body into facts. Raises `Refused` (``body.*``) where nothing of it can be used."""
    if body[:1] in MARKERS:
        single, found = pieces(body, caps)
        return Shape(single, True, found)
    body = body.removeprefix(_BOM).strip(_SPACE)
    if not body:
        raise refused("body.empty")
    lines = says_lines(content_type)
    if body[:1] == b"[" and not (lines and not _decodes(body)):
        return Shape(False, False, _array(body, caps))
    if not lines and (b"\n" not in body or _is_one(body)):
        return Shape(True, False, [body])
    return Shape(False, False, _lines(body, caps))


def says_lines(content_type: str) -> bool:
    """Whether a lower-case Content-Type names NDJSON; then even one line is a batch."""
    return "ndjson" in content_type or "jsonl" in content_type


def _is_one(body: bytes) -> bool:
    """Whether a text of several lines is one value, pretty-printed, or at least no NDJSON.

    Lines of NDJSON are objects: some line must begin one and end one, unless the whole text reads as one value.
    """
    return _decodes(body) or re.search(rb"(?m)^[ \t]*\{.*\}[ \t\r]*$", body) is None


def _decodes(body: bytes) -> bool:
    """Whether a text as a whole is one JSON value."""
    try:
        _one(body)
        return True
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False


def _lines(body: bytes, caps: Caps) -> list[bytes]:
    if body.count(b"\n") <= 2 * caps.facts:  # bounds what splitting costs; blank lines between facts are fine
        lines = [line for line in (line.strip(_SPACE) for line in body.split(b"\n")) if line]
        if len(lines) <= caps.facts:
            return lines
    raise refused("body.too_many_facts")


def _array(body: bytes, caps: Caps) -> list[bytes]:
    if body.count(b",") <= caps.values:  # bounds the list that the decoder builds
        try:
            found = [bytes(raw) for raw in _many(body)]
        except (msgspec.DecodeError, ValueError, RecursionError):
            found = _elements(body, caps)
    else:
        found = _elements(body, caps)
    if len(found) > caps.facts:
        raise refused("body.too_many_facts")
    return found


def _elements(body: bytes, caps: Caps) -> list[bytes]:
    """The elements of an array that does not decode as a whole: brackets and quotes still tell where each ends."""
    found: list[bytes] = []
    depth, start = 0, 1
    for n, token in enumerate(_TOKEN.finditer(body)):
        if n > caps.values:
            raise refused("body.too_many_values")
        mark = token[0]
        if mark in b"[{":
            depth += 1
        elif mark in b"]}":
            depth -= 1
        if (depth == 1 and mark == b",") or depth == 0:
            found.append(body[start : token.start()].strip(_SPACE))
            start = token.end()
            if len(found) > caps.facts:
                raise refused("body.too_many_facts")
            if depth == 0:
                break
    if depth or start != len(body):
        raise refused("body.malformed", "The array is not closed where the body ends.")
    return found
