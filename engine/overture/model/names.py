"""Names as we write them, from names as others do."""

from __future__ import annotations

import re

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^a-z0-9]+")


def snake(text: str) -> str:
    """``Order Completed``, ``orderCompleted``, ``orders/completed`` → lower case with ``_``; may be empty."""
    return _OTHER.sub("_", _WORDS.sub("_", text).lower()).strip("_")
