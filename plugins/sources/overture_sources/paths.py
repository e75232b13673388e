"""Where something stands in a request: ``$.data.items.0.id`` in its JSON, ``header:X-Id``, or the text itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overture.plugin import Incoming


def look(where: str, body: Any, request: Incoming) -> Any:
    """The value; None where there is none. ``$`` is all of the body."""
    if where.startswith("header:"):
        return request.headers.get(where[len("header:") :].lower())
    if where != "$" and not where.startswith("$."):
        return where
    found = body
    for name in where.split(".")[1:]:
        if isinstance(found, Mapping):
            found = found.get(name)
        elif isinstance(found, list) and name.isascii() and name.isdigit() and len(name) < 6:
            found = found[int(name)] if int(name) < len(found) else None
        else:
            return None
    return found


def first(wheres: tuple[str, ...], body: Any, request: Incoming) -> Any:
    """The first of several places where something stands."""
    return next((value for each in wheres if (value := look(each, body, request)) not in (None, "")), None)
