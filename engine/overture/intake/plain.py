"""One object out of JSON or msgpack as plain values, holding nothing that no fact may hold anywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import msgpack  # pyright: ignore[reportMissingTypeStubs]

from overture.intake.caps import Caps
from overture.intake.codes import clip, refused
from overture.model import Refused
from overture.model.numbers import NUMBER_LIMIT

_unpack: Callable[..., Any] = msgpack.unpackb  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


class _Pairs(list[tuple[Any, Any]]):
    """An object as it was sent, before anything decides what two equal keys mean."""


class _Extension:
    """A msgpack extension value; what is in it does not matter."""


def from_json(raw: bytes, caps: Caps) -> dict[str, Any]:
    """The object in a JSON text. Raises `Refused` with a ``fact.*`` code and a pointer."""
    return _read(raw, caps, _load_json)


def from_msgpack(raw: bytes, caps: Caps) -> dict[str, Any]:
    """The object in a msgpack value. Raises `Refused` like `from_json`."""
    return _read(raw, caps, _load_msgpack)


def escape(key: str) -> str:
    """A key as a token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _read(raw: bytes, caps: Caps, load: Callable[[bytes], Any]) -> dict[str, Any]:
    if len(raw) > caps.fact:
        raise refused("fact.too_large", f"The fact has {len(raw)} bytes; at most {caps.fact} are taken.")
    try:
        value = load(raw)
    except RecursionError:
        raise refused("fact.too_deep") from None
    if not isinstance(value, _Pairs):
        raise refused("fact.not_object")
    return _Plain(caps).object(value, 1)


def _load_json(raw: bytes) -> Any:
    try:
        text = raw.decode()
    except UnicodeDecodeError as e:
        raise refused("fact.not_utf8", f"Byte {e.start} of the fact is not UTF-8.") from None
    try:
        return json.loads(text, object_pairs_hook=_Pairs, parse_int=_integer, parse_constant=_constant)
    except json.JSONDecodeError as e:
        raise refused("fact.malformed", f"The fact is not well-formed JSON: {e.msg} at character {e.pos}.") from None


def _load_msgpack(raw: bytes) -> Any:
    try:
        return _unpack(raw, object_pairs_hook=_Pairs, ext_hook=_extension, timestamp=0, strict_map_key=False)
    except UnicodeDecodeError:
        raise refused("fact.not_utf8") from None
    except msgpack.exceptions.StackError:
        raise refused("fact.too_deep") from None
    except (ValueError, msgpack.exceptions.UnpackException) as e:
        raise refused("fact.malformed", f"The fact is not well-formed msgpack: {clip(str(e), 80)}.") from None


def _integer(digits: str) -> int:
    return int(digits) if len(digits) <= 20 else NUMBER_LIMIT + 1  # thousands of digits cost quadratic time


def _constant(_name: str) -> float:
    return math.nan


def _extension(_code: int, _data: bytes) -> _Extension:
    return _Extension()


class _Plain:
    """Turns what a loader gave into plain values, refusing what no fact may hold anywhere.

    A refusal collects its pointer on the way out, so that no pointer is built where all is well.
    """

    def __init__(self, caps: Caps) -> None:
        self.caps = caps
        self.keys = 0

    def of(self, value: Any, depth: int) -> Any:
        """``depth`` is the value's level; the fact is 1."""
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            if not -NUMBER_LIMIT <= value <= NUMBER_LIMIT:
                raise refused("fact.number_range")
            return value
        if isinstance(value, float):
            if not math.isfinite(value):
                raise refused("fact.number_not_finite")
            return value
        if isinstance(value, bytes):
            raise refused("fact.binary")
        if isinstance(value, (_Extension, msgpack.Timestamp)):
            raise refused("fact.extension")
        if depth > self.caps.depth:
            raise refused("fact.too_deep")
        if isinstance(value, _Pairs):
            return self.object(value, depth)
        return self.array(value, depth)

    def array(self, items: list[Any], depth: int) -> list[Any]:
        plain: list[Any] = []
        try:
            for item in items:
                plain.append(self.of(item, depth + 1))
        except Refused as e:
            e.pointer = f"/{len(plain)}{e.pointer}"
            raise
        return plain

    def object(self, pairs: _Pairs, depth: int) -> dict[str, Any]:
        self.keys += len(pairs)
        if self.keys > self.caps.keys:
            raise refused("fact.too_many_keys")
        plain: dict[str, Any] = {}
        for key, value in pairs:
            if not isinstance(key, str):
                raise refused("fact.key_not_text")
            self.text(key)
            try:
                if key in plain:
                    raise refused("fact.duplicate_key", f"The key {clip(key)} is there twice.")
                plain[key] = self.of(value, depth + 1)
            except Refused as e:
                e.pointer = f"/{escape(key)}{e.pointer}"
                raise
        return plain

    def text(self, text: str) -> str:
        if "\0" in text:
            raise refused("fact.nul")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise refused("fact.surrogate") from None
        return text
