"""Where msgpack values begin and end, found without building anything: a header may promise what is not there."""

from __future__ import annotations

from overture.intake.caps import Caps
from overture.intake.codes import refused

# By first byte, from the msgpack specification, "Formats".
_FIXED = {  # bytes that follow
    **dict.fromkeys([*range(0x80), *range(0xE0, 0x100), 0xC0, 0xC2, 0xC3], 0),
    **{0xA0 + n: n for n in range(32)},
    **{0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8},
    **{0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17},
}
_SIZED = {  # bytes that hold the length, bytes besides the payload
    **{0xC4: (1, 0), 0xC5: (2, 0), 0xC6: (4, 0), 0xC7: (1, 1), 0xC8: (2, 1), 0xC9: (4, 1)},
    **{0xD9: (1, 0), 0xDA: (2, 0), 0xDB: (4, 0)},
}
_SMALL = {0x80 + n: 2 * n for n in range(16)} | {0x90 + n: n for n in range(16)}  # values that follow
_LARGE = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}  # bytes that hold the count, values per count
_ARRAYS = {*range(0x90, 0xA0), 0xDC, 0xDD}

MARKERS = frozenset(bytes([b]) for b in (*_SMALL, *_LARGE))  # none of them begins a JSON text


def pieces(body: bytes, caps: Caps) -> tuple[bool, list[bytes]]:
    """Whether the body (not empty) is one fact, and the bytes of each fact. Raises `Refused` (``body.*``)."""
    single = body[0] not in _ARRAYS
    count, at = (1, 0) if single else _header(body)
    if count > caps.facts:
        raise refused("body.too_many_facts")
    found: list[bytes] = []
    left = caps.values
    try:
        for _ in range(count):
            end, left = _step_over(body, at, left)
            found.append(body[at:end])
            at = end
    except (IndexError, KeyError):
        raise refused("body.malformed", "The msgpack body is cut short or uses the byte c1.") from None
    if at != len(body):
        raise refused("body.malformed", "Bytes follow the msgpack value.")
    return single, found


def _header(body: bytes) -> tuple[int, int]:
    """Length of the array that the body is, and where its first element begins."""
    if (mark := body[0]) in _SMALL:
        return _SMALL[mark], 1
    width, _ = _LARGE[mark]
    return int.from_bytes(body[1 : 1 + width], "big"), 1 + width


def _step_over(body: bytes, at: int, left: int) -> tuple[int, int]:
    """The place after the value at ``at``, and how many values may still be stepped over of the ``left`` before.

    Raises IndexError where the body ends first, KeyError for the byte c1, which means nothing.
    """
    to_come = 1
    while to_come:
        mark = body[at]
        at += 1
        to_come -= 1
        left -= 1
        if (size := _FIXED.get(mark)) is not None:
            at += size
        elif (inside := _SMALL.get(mark)) is not None:
            to_come += inside
        elif mark in _LARGE:
            width, per = _LARGE[mark]
            to_come += per * int.from_bytes(body[at : at + width], "big")
            at += width
        else:
            width, extra = _SIZED[mark]
            at += width + extra + int.from_bytes(body[at : at + width], "big")
        if left < 0:
            raise refused("body.too_many_values")
    if at > len(body):
        raise IndexError
    return at, left
