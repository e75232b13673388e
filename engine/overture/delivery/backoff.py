"""When to try a hand-off again: exponential backoff, the same for the same contact and attempt on every machine."""

from __future__ import annotations

from dataclasses import dataclass

from overture.model.ids import digest

TURNS_MS = 1 << 18  # 4 min 22 s; halved again and again, each instant of a longer pace is one of every shorter


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pause after attempt n is ``first_ms`` · 2ⁿ⁻¹, at most ``longest_ms``, less up to the share ``jitter``."""

    first_ms: int = 5_000
    longest_ms: int = 3_600_000
    jitter: float = 0.3
    ambiguous: int = 30
    age_ms: int = 3 * 86_400_000

    def due_at(
        self,
        contact: str,
        attempts: int,
        now: int,
        created_at: int,
        retry_after: float | None = None,
        ambiguous: int = 0,
    ) -> int | None:
        """When (ms) to make the next attempt after ``attempts`` ≥ 1 made so far, or None: give up. As long for all
        messages of one contact that were tried as often: they come back in their order.

        ``retry_after`` (seconds) is the least pause that the channel asked for. Gives up where the next one would fall
        later than ``age_ms`` after ``created_at``, however many were made: a channel may be down for days. Only of
        those that may have been taken, ``ambiguous`` of them, so many are enough.
        """
        if ambiguous >= self.ambiguous:
            return None
        pause = min(self.first_ms << min(attempts - 1, 40), self.longest_ms)
        spread = 1 - self.jitter * _share(contact, str(attempts))
        return self._in_time(now + max(round(pause * spread), round((retry_after or 0) * 1000)), created_at)

    def waits(self, contact: str, now: int, created_at: int, pause: float, lasted: float) -> int | None:
        """When (ms) to look again at a message whose channel was not called, will not be for ``pause`` seconds, and has
        not been well for ``lasted``.

        Each contact's turn comes at instants of its own, for all its messages, so that they go in their order; the
        longer it has lasted the further apart these are, up to `TURNS_MS`: thousands that wait for hours are not
        looked at all the time, and do not come all at once when the channel is back.
        """
        due, apart = now + round(pause * 1000), TURNS_MS
        while apart > lasted * 500 and apart > 1:
            apart //= 2
        return self._in_time(due + (int(TURNS_MS * _share(contact, "turn")) - due) % apart, created_at)

    def _in_time(self, due: int, created_at: int) -> int | None:
        return due if due - created_at <= self.age_ms else None


def _share(of: str, what: str) -> float:
    """0 ≤ share < 1. Derived, not drawn: what is looked at twice gets the same answer; a crowd is still spread out."""
    return int.from_bytes(digest("backoff", of, what)[:4], "big") / 2**32
