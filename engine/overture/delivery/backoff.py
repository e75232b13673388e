"""When to try a hand-off again: exponential backoff, the same for the same message and attempt on every machine."""

from __future__ import annotations

from dataclasses import dataclass

from overture.model.ids import digest


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pause after attempt n is ``first_ms`` · 2ⁿ⁻¹, at most ``longest_ms``, less up to the share ``jitter``."""

    first_ms: int = 5_000
    longest_ms: int = 3_600_000
    jitter: float = 0.3
    attempts: int = 30
    age_ms: int = 3 * 86_400_000

    def due_at(
        self, message: str, attempts: int, now: int, created_at: int, retry_after: float | None = None
    ) -> int | None:
        """When (ms) to make the next attempt after ``attempts`` ≥ 1 made so far, or None: give up.

        ``retry_after`` (seconds) is the least pause that the channel asked for. Gives up after ``attempts`` in all, or
        where the next one would fall later than ``age_ms`` after ``created_at``.
        """
        if attempts >= self.attempts:
            return None
        pause = min(self.first_ms << min(attempts - 1, 40), self.longest_ms)
        # Derived, not drawn: a message that is looked at twice gets the same answer; a crowd is still spread out.
        share = int.from_bytes(digest("backoff", message, str(attempts))[:4], "big") / 2**32
        due = now + max(round(pause * (1 - self.jitter * share)), round((retry_after or 0) * 1000))
        return due if due - created_at <= self.age_ms else None
