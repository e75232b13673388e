"""A circuit breaker: after some failures in a row, stop calling for a while, then try one call."""

from __future__ import annotations

from typing import Literal

from overture.model import clock

BLOCKED = 60.0  # seconds
DOUBLINGS = 4


class Breaker:
    """``closed`` → ``threshold`` failures in a row → ``open`` for ``pause`` seconds → ``half-open``: one call tells.

    One call that blocked the process is enough, and costs `BLOCKED` seconds, twice as many each time in a row.
    """

    def __init__(self, threshold: int, pause: float) -> None:
        self.failures = 0  # in all
        self.last = ""  # what was wrong the last time
        self._threshold = threshold
        self._pause = pause
        self._in_a_row = 0
        self._blocks = 0  # in a row
        self._until: float | None = None
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

    def admit(self) -> float | None:
        """None: go ahead, and report the end. Otherwise the seconds until it is worth asking again."""
        if self._until is None:
            return None
        left = self._until - clock.elapsed()
        if left > 0:
            return left
        if self._trying:
            return self._pause
        self._trying = True
        return None

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
        self._open(BLOCKED * 2 ** min(self._blocks, DOUBLINGS))
        self._blocks += 1

    def abandoned(self) -> None:
        """The admitted call was cancelled from outside: it says nothing about the channel."""
        self._trying = False

    def _open(self, pause: float) -> None:
        self._until = max(self._until or 0.0, clock.elapsed() + pause)
