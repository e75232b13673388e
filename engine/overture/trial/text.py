"""Values as text."""

from __future__ import annotations

import json
from typing import Any

_LONGEST = 300


def shown(value: Any) -> str:
    """A value as JSON on one line; a long one is cut."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
