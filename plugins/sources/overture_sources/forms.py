"""Bodies that are HTML forms: ``multipart/form-data`` and ``application/x-www-form-urlencoded``."""

from __future__ import annotations

import codecs
import re
from email.message import Message
from email.parser import HeaderParser
from urllib.parse import parse_qsl

from overture.plugin import Incoming

MOST = 1_000  # fields
HEAD = 2 * 1024  # bytes before the value of a part
_HEADERS = HeaderParser()
_NAMES = frozenset({"idna", "punycode"})  # charsets of host names: to decode much of one takes hours


class Form:
    """The fields in their order; a name may come several times. Files are left out."""

    def __init__(self, fields: list[tuple[str, bytes, str]]) -> None:
        self._fields = fields

    def all(self, name: str) -> list[str]:
        return [_decoded(value, charset) for given, value, charset in self._fields if given == name]

    def first(self, name: str, charset: str = "") -> str:
        """Empty where there is none. ``charset``: where a service says it elsewhere than the form does."""
        told = next(((value, said) for given, value, said in self._fields if given == name), None)
        return _decoded(told[0], charset or told[1]) if told is not None else ""

    def last(self, name: str) -> str:
        return next(reversed(self.all(name)), "")

    def raw(self, name: str) -> bytes:
        return next((value for given, value, _ in self._fields if given == name), b"")

    def names(self) -> list[str]:
        """Each once, in the order of their first field."""
        return list(dict.fromkeys(name for name, _, _ in self._fields))


def form(request: Incoming) -> Form | None:
    """The form in a request; None where its type says that it is none. To be called beside the event loop: whoever
    calls may have sent anything.
    """
    given = request.headers.get("content-type", "")
    if given.lower().startswith("multipart/form-data"):
        return Form(_parts(given, request.inflated))
    if given.lower().startswith("application/x-www-form-urlencoded"):
        try:
            pairs = parse_qsl(request.inflated.decode("utf-8", "replace"), True, max_num_fields=MOST)
        except ValueError:
            return Form([])
        return Form([(name, value.encode(), "") for name, value in pairs])
    return None


def _parts(content_type: str, body: bytes) -> list[tuple[str, bytes, str]]:
    outer = Message()
    outer["Content-Type"] = re.sub(r"[\r\n]", " ", content_type)
    try:
        boundary = outer.get_boundary()
    except Exception:  # the parser of the standard library stumbles over what nobody should have sent
        return []
    if not boundary or not boundary.isascii():
        return []
    found: list[tuple[str, bytes, str]] = []
    for piece in (b"\r\n" + body).split(b"\r\n--" + boundary.encode(), MOST + 1)[1 : MOST + 1]:
        head, found_end, value = piece.partition(b"\r\n\r\n")
        if piece.startswith(b"--") or not found_end or len(head) > HEAD:
            continue
        try:
            field = _field(head.lstrip(b"\r\n").decode("utf-8", "replace"))
        except Exception:  # as above
            continue
        if field is not None:
            found.append((field[0], value, field[1]))
    return found


def _field(head: str) -> tuple[str, str] | None:
    """Name and charset in the headers of a part; None where it is a file, or has no name."""
    # By the older of the two parsers: the other takes a tenth of a second for a header that somebody made for it.
    part = _HEADERS.parsestr(f"{head}\r\n\r\n")
    name, filename = (part.get_param(each, None, "content-disposition") for each in ("name", "filename"))
    return (name, part.get_content_charset("")) if isinstance(name, str) and filename is None else None


def _decoded(value: bytes, charset: str) -> str:
    try:
        known = codecs.lookup(charset or "utf-8").name
        return value.decode("utf-8" if known in _NAMES else known, "replace")
    except (LookupError, ValueError):  # also what is no charset of texts, as hex
        return value.decode("utf-8", "replace")
