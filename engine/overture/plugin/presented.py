"""A fact as its sender presented it, as plugins see it before it is on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from overture.model.fact import Draft
from overture.model.scoring import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """``contact``: the identifiers, by name (``user_id``, ``email``, ``anonymous_id``; ``external``: name → text).

    ``occurred_at`` is milliseconds since the epoch, UTC; None where the sender gave none. ``source``: the name of the
    write key or of the source that brought it. Mappings are read only.
    """

    id: str
    type: str
    contact: Mapping[str, Any]
    properties: Mapping[str, Any]
    context: Mapping[str, Any]
    occurred_at: int | None
    source: str


def presented(draft: Draft, source: str) -> Presented:
    """The draft for a plugin to read."""
    return Presented(
        id=draft.id,
        type=draft.type,
        contact=View(draft.ids),
        properties=View(draft.properties),
        context=View(draft.context),
        occurred_at=draft.occurred_at,
        source=source,
    )
