"""The ``data`` of a template: JSON in which values stand by themselves, so that none can change what is around it."""

from __future__ import annotations

import re

from overture.model.pages import DataRefused, to_data
from overture.rules.report import Report
from overture.rules.ways import ways
from overture.rules.yamltext import Scalar

_HINT = 'Values bring their own quotes: {"url": {{ "https://example.com/" + fact.id|urlencode }}}.'
_LOOP = re.compile(r"\{%[-+]?\s*for\b")


def check_data(scalar: Scalar, report: Report) -> None:
    """Report what no object in JSON comes of, whichever way it goes through the conditions. ``scalar`` is a template
    that was found right otherwise. What stands between the rounds of a loop is known only when it is rendered.
    """
    if _LOOP.search(scalar.text):
        return
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
