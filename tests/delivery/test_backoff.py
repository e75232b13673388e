from __future__ import annotations

from overture.delivery.backoff import Backoff

DAY = 86_400_000


def pauses(message: str, backoff: Backoff) -> list[int]:
    return [due for n in range(1, backoff.attempts) if (due := backoff.due_at(message, n, 0, 0)) is not None]


def test_pauses_grow_to_the_cap_and_no_further():
    backoff = Backoff(first_ms=1000, longest_ms=60_000, jitter=0.0, attempts=10)
    assert pauses("m", backoff) == [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000]


def test_the_same_message_and_attempt_get_the_same_pause():
    assert pauses("m1", Backoff()) == pauses("m1", Backoff())


def test_a_crowd_is_spread_out_within_the_jitter():
    due = {Backoff(first_ms=10_000, jitter=0.3).due_at(f"m{i}", 1, 0, 0) or 0 for i in range(200)}
    assert len(due) > 150
    assert min(due) >= 7_000
    assert max(due) <= 10_000


def test_the_channels_wish_is_the_least_pause():
    assert Backoff().due_at("m", 1, 0, 0, retry_after=600.0) == 600_000
    assert (Backoff().due_at("m", 20, 0, 0, retry_after=1.0) or 0) > 1_000_000


def test_gives_up_after_the_last_attempt_or_at_an_age():
    backoff = Backoff(attempts=3)
    assert backoff.due_at("m", 2, 0, 0) is not None
    assert backoff.due_at("m", 3, 0, 0) is None
    assert Backoff().due_at("m", 1, now=3 * DAY, created_at=0) is None
    assert Backoff().due_at("m", 1, now=0, created_at=0, retry_after=4 * 86_400.0) is None


def test_a_huge_attempt_number_does_no_harm():
    assert Backoff(attempts=10**9, jitter=0.0).due_at("m", 10**8, 0, 0) == 3_600_000
