"""What functions and scorers of plugins answer, read: a value of the type that was said, and nobody else's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from overture.model.numbers import NUMBER_LIMIT
from overture.model.scoring import Scored
from overture.plugin.prompt import Wrong

VALUES = 5_000  # in a list or object that a function answers
TEXT = 16_384  # characters of a text in it, or that it answers
DEPTH = 16
CONTRIBUTIONS = 64


def value_of(kind: str, answer: Any) -> Any:
    """The answer as a value of that type."""
    found = json_of(answer)
    is_number = type(found) is int or type(found) is float
    fits = {
        "string": type(found) is str,
        "int": type(found) is int,
        "number": is_number,
        "datetime": is_number,
        "bool": type(found) is bool,
        "list": type(found) is list,
        "object": type(found) is dict,
        "any": True,
    }
    if not fits[kind]:
        raise Wrong(f"{type(answer).__name__}: no {kind}")
    return found


def scored(answer: Any) -> Scored:
    if not isinstance(answer, Scored):
        raise Wrong(f"{type(answer).__name__}: no Scored")
    contributions = answer.contributions
    if not isinstance(contributions, Mapping) or len(contributions) > CONTRIBUTIONS:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise Wrong(f"contributions that are no mapping of at most {CONTRIBUTIONS} names")
    told = {str(name)[:200]: value_of("number", share) for name, share in contributions.items()}
    return Scored(value_of("number", answer.value), told)


def json_of(value: Any) -> Any:
    """The value as a JSON value of our own: nobody else holds a part of it. Raises where it is none, or too large."""
    left = VALUES

    def copied(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > DEPTH:
            raise Wrong(f"more than {VALUES} values, or deeper than {DEPTH}")
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            return _text(str(value))
        if isinstance(value, int):
            return _number(int(value))
        if isinstance(value, float):
            return _number(float(value))
        if isinstance(value, list | tuple):
            return [copied(item, depth + 1) for item in cast("Sequence[Any]", value)]
        if isinstance(value, Mapping):
            items = cast("Mapping[Any, Any]", value).items()
            return {_name(name): copied(item, depth + 1) for name, item in items}
        raise Wrong(f"{type(value).__name__}: no JSON value")

    return copied(value, 0)


def _number(value: int | float) -> int | float:
    if not math.isfinite(value) or abs(value) > NUMBER_LIMIT:
        raise Wrong("a number that is not finite, or beyond ±2^53")
    return value


def _text(value: str) -> str:
    if len(value) > TEXT:
        raise Wrong(f"a text of more than {TEXT} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Wrong("a text with half of a character") from None
    return value


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise Wrong(f"an object with a key that is {type(name).__name__}")
    return _text(str(name))
