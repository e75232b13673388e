"""Templates that were cut off again and again are not tried for a while: each try costs everybody a moment.

Scripts have this in `overture.sandbox.lane`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from overture.model.pages import Page
from overture.sandbox.rendering.wire import Refusal

MOST = 3  # times in a row
PAUSE = 30.0  # seconds
_KEPT = 1000  # templates


@dataclass(slots=True)
class Strikes:
    _by_page: dict[Page, tuple[int, float, Refusal]] = field(
        default_factory=dict[Page, tuple[int, float, Refusal]]
    )  # how often, until when it is left alone (s), and what was said last

    def left_alone(self, page: Page) -> Refusal | None:
        """What is said of it without trying."""
        if not self._by_page:
            return None
        times, until, said = self._by_page.get(page, (0, 0.0, None))
        return said if times >= MOST and time.monotonic() < until else None

    def struck(self, page: Page, said: Refusal) -> None:
        times = self._by_page.pop(page, (0, 0.0, said))[0] + 1
        if len(self._by_page) >= _KEPT:
            del self._by_page[next(iter(self._by_page))]
        again = f"{said.message} It was so {times} times in a row, and is tried again after {PAUSE:.0f} seconds."
        told = Refusal(said.code, again, said.hint) if times >= MOST else said
        self._by_page[page] = times, time.monotonic() + PAUSE, told

    def went_well(self, page: Page) -> None:
        if self._by_page:
            self._by_page.pop(page, None)
