"""A visit: what a contact remembers of facts without a longer pause between them."""

from __future__ import annotations

import msgspec

from overture.model.series import Held


class Session(msgspec.Struct, frozen=True, array_like=True):
    """Instants are `occurred_at`, in ms. Never changed in place.

    ``events``: instant and page (empty for a fact that is no page view), sorted; the newest of them. ``spent`` (ms) is
    the time on each page before these.
    """

    id: str  # of the fact with which it began
    first: int
    last: int
    pages: int = 0  # page views
    events: list[tuple[int, str]] = []
    spent: dict[str, int] = {}
    ended: bool = False
    effects: list[Held] = []  # of the rules on its end: ``score`` what they added, ``rule`` that they fired
