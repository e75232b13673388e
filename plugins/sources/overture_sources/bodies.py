"""The JSON that a tracker's library posts: what no fact can hold costs the event that says it, not the others."""

from __future__ import annotations

import json
import re
from typing import Any

from overture.plugin import Refuse

MOST = 10_000  # events of one request, as many as facts may come at once
_VALUES = 250_000  # of a body: to make a million takes the interpreter half a second, in which nothing else is done
_DEEP = 100  # levels, more than a fact has
_LONG = 400  # digits
# A text that does not end reaches to the end of the body: looked for from each of its quotes, that would be quadratic.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def json_of(body: bytes | str) -> Any:
    """The JSON in a body; None where it is none. What stands too deep is left out of it, and is ``…`` there. Raises
    `Refuse` where it holds too many values: who sent it need not have a key.
    """
    told = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
    if sum(map(told.count, (b",", b"[", b"{"))) > _VALUES:
        raise Refuse("source.too_many", f"The body has more than {_VALUES:,} values.", 413)
    try:
        return json.loads(body)
    except json.JSONDecodeError:
        return None
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(_shallow(told), parse_int=_whole)
    except (ValueError, RecursionError):
        return None


def listed(value: object, what: str) -> list[Any]:
    """The events of a request. Raises `Refuse` where it is no list, or one too long: before anything is made of it."""
    if not isinstance(value, list):
        raise Refuse("source.body", f"The body has no {what}.")
    if len(value) > MOST:  # pyright: ignore[reportUnknownArgumentType]
        raise Refuse("source.too_many", f"The body has more than {MOST:,} events.", 413)
    return value  # pyright: ignore[reportUnknownVariableType]


def no_object() -> Refuse:
    return Refuse("source.body", "The body is no JSON object.")


def _whole(digits: str) -> int | float:
    """With so many digits it is more than any number of a fact, which is said of it."""
    return int(digits) if len(digits) < _LONG else float(digits)


def _shallow(body: bytes) -> bytes:
    kept: list[bytes] = []
    level = at = 0
    for found in _TOKEN.finditer(body):
        if found[0] in b"[{":
            level += 1
            if level == _DEEP:
                kept.append(body[at : found.start()])
                at = found.start()
        elif found[0] in b"]}":
            if level == _DEEP:
                kept.append('"…"'.encode())
                at = found.end()
            level -= 1
    return b"".join([*kept, body[at:]])
