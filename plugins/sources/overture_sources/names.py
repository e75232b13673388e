"""Names of facts from whatever others call their events."""

from __future__ import annotations

import re

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^a-z0-9]+")
LONGEST = 128


def snake(text: str) -> str:
    """``Order Completed``, ``orderCompleted``, ``orders/completed`` → lower case with ``_``; may be empty."""
    return _OTHER.sub("_", _WORDS.sub("_", text).lower()).strip("_")


def fact_type(text: str, source: str) -> str:
    """A type for a fact that the table of a source does not know: ``<source>_<name>``; ``<source>_event`` for none."""
    return f"{source}_{snake(text) or 'event'}"[:LONGEST].rstrip("_")
