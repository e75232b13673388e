"""Names of facts from whatever others call their events."""

from __future__ import annotations

from overture.plugin import snake

LONGEST = 128


def fact_type(text: str, source: str) -> str:
    """A type for a fact that the table of a source does not know: ``<source>_<name>``; ``<source>_event`` for none."""
    return f"{source}_{snake(text) or 'event'}"[:LONGEST].rstrip("_")
