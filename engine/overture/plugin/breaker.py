"""A circuit breaker: after some failures in a row, stop calling for a while, then try one call."""

from __future__ import annotations

from typing import Literal

from overture.model import clock


class Breaker:
    """``closed`` → ``threshold`` failures in a row → ``open`` for ``pause`` seconds → ``half-open``: one call tells."""

    def __init__(self, threshold: int, pause: float) -> None:
        self._threshold = threshold
        self._pause = pause
        self._failures = 0
        self._until: float | None = None
        self._trying = False

    @property
    def state(self) -> Literal["closed", "open", "half-open"]:
        if self._until is None:
            return "closed"
        return "open" if clock.elapsed() < self._until else "half-open"

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
        self._failures, self._until, self._trying = 0, None, False

    def failed(self) -> None:
        self._failures += 1
        if self._trying or self._failures >= self._threshold:
            self._until = clock.elapsed() + self._pause
        self._trying = False

    def abandoned(self) -> None:
        """The admitted call was cancelled from outside: it says nothing about the channel."""
        self._trying = False
