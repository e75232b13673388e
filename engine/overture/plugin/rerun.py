"""When a source that fetches, and failed, is run again."""

from __future__ import annotations

from overture.plugin.breaker import left_alone
from overture.plugin.cutoff import Blocked
from overture.plugin.steps import AGAIN, STRETCH

FIRST, LONGEST = 1.0, 60.0  # seconds; doubled each time
STEADY = 60.0  # seconds after which a run that fails was a good one


class Rerun:
    """What becomes of one source's runs. After one that blocked the process: as `left_alone` says."""

    def __init__(self) -> None:
        self._pause = FIRST
        self._blocks = 0  # in a row

    @property
    def stretch(self) -> float:
        """Seconds for which the next run may keep the process to itself."""
        return AGAIN if self._blocks else STRETCH

    def after(self, error: Exception, lasted: float) -> float:
        """Seconds until the next run, after one of ``lasted`` seconds."""
        if lasted > STEADY:
            self._pause, self._blocks = FIRST, 0
        if isinstance(error, Blocked):
            self._blocks += 1
            self._pause = left_alone(self._blocks)
        pause = self._pause
        self._pause = min(2 * pause, LONGEST)
        return pause
