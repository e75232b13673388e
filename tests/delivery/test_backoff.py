from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from overture.delivery.backoff import TURNS_MS, Backoff

DAY = 86_400_000


def pauses(contact: str, backoff: Backoff) -> list[int]:
    return [due for n in range(1, 10) if (due := backoff.due_at(contact, n, 0, 0)) is not None]


def test_pauses_grow_to_the_cap_and_no_further():
    backoff = Backoff(first_ms=1000, longest_ms=60_000, jitter=0.0)
    assert pauses("c", backoff) == [1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000]


def test_the_same_contact_and_attempt_get_the_same_pause():
    assert pauses("c1", Backoff()) == pauses("c1", Backoff())


def test_a_crowd_is_spread_out_within_the_jitter():
    due = {Backoff(first_ms=10_000, jitter=0.3).due_at(f"c{i}", 1, 0, 0) or 0 for i in range(200)}
    assert len(due) > 150
    assert min(due) >= 7_000
    assert max(due) <= 10_000


def test_the_channels_wish_is_the_least_pause():
    assert Backoff().due_at("c", 1, 0, 0, retry_after=600.0) == 600_000
    assert (Backoff().due_at("c", 20, 0, 0, retry_after=1.0) or 0) > 1_000_000


def test_gives_up_at_an_age():
    assert Backoff().due_at("c", 1, now=3 * DAY, created_at=0) is None
    assert Backoff().due_at("c", 1, now=0, created_at=0, retry_after=4 * 86_400.0) is None


def instants(contact: str, unsure: int, asks: list[float | None]) -> list[int]:
    """When (ms) it is tried if the first ``unsure`` attempts may have been taken, and none of the others was."""
    backoff, tried = Backoff(), [0]
    while True:
        n = len(tried)
        due = backoff.due_at(contact, n, tried[-1], 0, asks[n % len(asks)], min(n, unsure))
        if due is None:
            return tried
        tried.append(due)


asked = st.lists(st.none() | st.floats(0, 3600), min_size=1, max_size=5)


@given(st.text(), st.integers(0, Backoff().ambiguous - 1), asked)
def test_what_was_surely_not_taken_is_tried_until_its_age_and_not_all_the_time(
    contact: str, unsure: int, asks: list[float | None]
):
    tried = instants(contact, unsure, asks)
    assert Backoff().age_ms - Backoff().longest_ms < tried[-1] <= Backoff().age_ms
    assert len(tried) < 130


@given(st.text(), asked)
def test_what_may_have_been_taken_is_not_sent_for_ever(contact: str, asks: list[float | None]):
    assert len(instants(contact, 10**6, asks)) == Backoff().ambiguous


def waits(contact: str, now: int, lasted: float) -> int:
    due = Backoff().waits(contact, now, 0, 15.0, lasted)
    assert due is not None
    return due - now


def test_who_was_not_called_is_asked_after_the_pause_and_the_longer_it_lasts_the_more_rarely():
    for lasted, most in (
        (0.0, 15_001),
        (60.0, 15_000 + 30_000),
        (600.0, 15_000 + TURNS_MS),
        (86_400.0, 15_000 + TURNS_MS),
    ):
        after = [waits(f"c{i}", 1_000_000 + i, lasted) for i in range(200)]
        assert min(after) >= 15_000
        assert max(after) <= most
        assert lasted == 0.0 or len(set(after)) > 150, "they do not all come at once"
    assert Backoff().waits("c", 3 * DAY, 0, 15.0, 0.0) is None


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.floats(0, 1e5), st.floats(0, 1e5))
def test_of_one_contact_what_came_first_is_asked_about_first(now: int, later: int, lasted: float, more: float):
    assert now + waits("ada", now, lasted) <= now + later + waits("ada", now + later, lasted + more)
