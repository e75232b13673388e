"""The line of one script: what it is asked, how much at once, and how often it was cut off: then it is left alone."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from overture.model.script import Said, Script
from overture.sandbox import answering
from overture.sandbox.manner import Manner, manner

BATCH = 64
_FIRST = 8  # until it is known how long a call takes
_SHARE = 0.25  # of the time of one call, that a whole batch should take
_LONGEST = 10  # times the pause


@dataclass(frozen=True, slots=True)
class Quarantine:
    """A script that is left alone for ``seconds`` more. ``code``, ``message``: how it was cut off last."""

    script: Script
    seconds: float
    code: str
    message: str


@dataclass(slots=True, eq=False)
class Lane:
    """``calls``: what is asked, by job and place in it; like ``queued``, for who holds the lock of `Lanes`."""

    script: Script
    timeout_ms: int
    strikes: int
    pause: float
    calls: deque[tuple[Any, int]] = field(default_factory=deque[tuple[Any, int]])
    queued: bool = False
    manner: Manner | None = None
    problem: Said | None = None
    struck: int = 0
    _size: float = _FIRST
    _instants: bool = False
    _apart: bool = False
    _until: float = 0.0
    _pauses: int = 0
    _last: Said = field(default_factory=Said)

    def __post_init__(self) -> None:
        try:
            self.manner = manner(self.script.source)
        except ValueError as error:
            self.problem = answering.invalid(self.script, str(error))
        else:
            self._apart = self.manner.alone
            self._size = 1 if self._apart else _FIRST

    def batch(self, now: float) -> list[tuple[Any, int]]:
        """The calls to be made together next, taken out of the line."""
        if self.problem is not None or self.quarantine(now) is not None:
            batch = list(self.calls)
            self.calls.clear()
            return batch
        batch = [self.calls.popleft()]
        instant = _now(batch[0])
        while self.calls and len(batch) < int(self._size):
            if self._instants and _now(self.calls[0]) != instant:
                break
            batch.append(self.calls.popleft())
        return batch

    def took(self, seconds: float, calls: int) -> None:
        """How much at once follows from how long it takes."""
        if self._apart:
            return
        each = seconds / calls
        best = self.timeout_ms / 1000 * _SHARE / each if each else BATCH
        self._size = max(1.0, min(BATCH, self._size * 2, best))

    def slower(self) -> None:
        """A batch came to nothing."""
        self._size = max(1.0, self._size / 2)

    def apart(self, instants: bool) -> None:
        """Its calls are made one by one from now on, or those of one ``instant`` together."""
        if instants:
            self._instants = True
        else:
            self._size, self._apart = 1, True

    def strike(self, said: Said, now: float) -> None:
        self.struck += 1
        self._last = said
        if self.struck >= self.strikes:
            self._pauses += 1
            self._until = now + self.pause * min(self._pauses, _LONGEST)
            self.struck = self.strikes - 1  # after the pause, one is enough

    def went_well(self) -> None:
        self.struck = self._pauses = 0

    def quarantine(self, now: float) -> Quarantine | None:
        if now >= self._until:
            return None
        return Quarantine(self.script, self._until - now, self._last.code, self._last.message)

    def forgettable(self, now: float) -> bool:
        return not self.calls and not self.queued and not self.struck and now >= self._until


def _now(each: tuple[Any, int]) -> int:
    return each[0].calls[each[1]].now
