"""The ``data`` of a template: JSON in which values stand by themselves, so that none can change what is around it."""

from __future__ import annotations

import json
from typing import Any

from overture.rules.report import Report
from overture.rules.ways import ways
from overture.rules.yamltext import Scalar

_HINT = 'Values bring their own quotes: {"url": {{ "https://example.com/" + fact.id|urlencode }}}.'


class DataRefused(ValueError):
    """``offset`` is where, in characters of the text."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


def to_data(text: str) -> dict[str, Any]:
    """The object that the text is, in JSON. Raises DataRefused."""
    try:
        data: Any = json.loads(text, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise DataRefused(error.msg, error.pos) from None
    except (ValueError, RecursionError) as error:
        raise DataRefused(str(error)) from None
    if not isinstance(data, dict):
        raise DataRefused("it is no object")
    return data  # pyright: ignore[reportUnknownVariableType]  # JSON


def check_data(scalar: Scalar, report: Report) -> None:
    """Report what no object in JSON comes of, whichever way it goes through the conditions. ``scalar`` is a template
    that was found right otherwise.
    """
    locate = scalar.locator()
    seen: set[int] = set()
    for source in ways(scalar.text, _text):
        try:
            to_data(source)
        except DataRefused as error:
            if error.offset not in seen:
                seen.add(error.offset)
                message = f"The data is no object in JSON: {error.message}"
                report.at("template.data", message, locate(error.offset), scalar.pointer, _HINT)


def _text(length: int) -> str:
    """What stands in place of a value: inside of quotes it is wrong, as a value would be."""
    return '""'.ljust(length)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number in JSON")
