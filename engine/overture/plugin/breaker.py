"""A circuit breaker: after some failures in a row, or one call that blocked the process, stop calling for a while, then
try one call.
"""

from __future__ import annotations

from typing import Literal

from overture.model import clock

BLOCKED = 60.0  # seconds
TIMES, LONGEST = 4, 960.0  # as long, each time in a row; seconds


def left_alone(blocks: int) -> float:
    """Seconds for which something is not called that blocked the process ``blocks`` ≥ 1 times in a row."""
    return min(BLOCKED * TIMES ** min(blocks - 1, 8), LONGEST)


class Breaker:
    """``closed`` → ``threshold`` failures in a row → ``open`` for ``pause`` seconds → ``half-open``: one call tells.

    One call that blocked the process is enough, and costs as many seconds as `left_alone` says.
    """

    def __init__(self, threshold: int, pause: float) -> None:
        self.failures = 0  # in all
        self.last = ""  # what was wrong the last time
        self._threshold = threshold
        self._pause = pause
        self._in_a_row = 0
        self._blocks = 0  # in a row
        self._until: float | None = None
        self._since = 0.0  # when it was closed last
        self._trying = False

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        if self._until is None:
            return "closed"
        return "open" if clock.elapsed() < self._until else "half-open"

    @property
    def suspected(self) -> bool:
        """It blocked the process, and has not succeeded since."""
        return self._blocks > 0

    @property
    def lasted(self) -> float:
        """Seconds for which it has not been closed."""
        return 0.0 if self._until is None else clock.elapsed() - self._since

    @property
    def why(self) -> str:
        """It is left alone: the first half of a sentence that says so."""
        return "kept the whole process waiting" if self.suspected else "failed repeatedly"

    def left(self) -> float | None:
        """Seconds until it is worth asking; None: now."""
        if self._until is None:
            return None
        if (left := self._until - clock.elapsed()) > 0:
            return left
        return self._pause if self._trying else None

    def admit(self) -> float | None:
        """None: go ahead, and report the end. Otherwise as `left`."""
        if (left := self.left()) is None and self._until is not None:
            self._trying = True
        return left

    def succeeded(self) -> None:
        if self._until is None or self._trying:  # a call that began before it opened tells nothing
            self._in_a_row, self._blocks, self._until, self._trying = 0, 0, None, False

    def failed(self, told: str) -> None:
        self.failures += 1
        self.last = told
        self._in_a_row += 1
        if self._trying or self._in_a_row >= self._threshold:
            self._open(self._pause)
        self._trying = False

    def blocked(self) -> None:
        """The call, which is told as failed besides, kept the whole process waiting."""
        self._blocks += 1
        self._open(left_alone(self._blocks))

    def abandoned(self) -> None:
        """The admitted call was cancelled from outside: it says nothing about the channel."""
        self._trying = False

    def _open(self, pause: float) -> None:
        if self._until is None:
            self._since = clock.elapsed()
        self._until = max(self._until or 0.0, clock.elapsed() + pause)
