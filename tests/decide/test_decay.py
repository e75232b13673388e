"""Scores that halve: the arithmetic, and the place in a ranking that time does not move."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overture.model import Contact
from overture.model.decay import all_scores, place, read, remaining, tidy, value_at

DAY = 86_400_000
NOW = 1_774_605_600_000
HALF_LIVES = st.integers(60_000, 400 * DAY)
INSTANTS = st.integers(NOW - 300 * DAY, NOW)
VALUES = st.floats(-(2**53), 2**53).map(lambda x: round(x, 6)).filter(lambda x: x == 0 or abs(x) > 1e-3)


def test_half_of_it_is_left_after_a_half_life() -> None:
    assert remaining(40, NOW, NOW, DAY) == 40
    assert remaining(40, NOW, NOW + DAY, DAY) == 20
    assert remaining(40, NOW, NOW + 3 * DAY, DAY) == 5
    assert remaining(-40, NOW, NOW + DAY, DAY) == -20
    assert remaining(40, NOW, NOW - DAY, DAY) == 40  # it does not grow into the past
    assert remaining(40, NOW, NOW + 10**6 * DAY, DAY) == 0


def test_what_everybody_reads_is_rounded_to_a_millionth() -> None:
    contact = Contact("ada", scores={"lead": 10, "interest": {"seo": 3, "ads": 8}, "stays": 7}, clock=NOW)
    contact.stamps = {"lead": NOW, "interest": {"seo": NOW, "ads": NOW - DAY}}
    assert read(contact, "lead", "", NOW + DAY // 3, DAY) == 7.937005
    assert read(contact, "interest", "ads", NOW, DAY) == 4
    assert type(read(contact, "interest", "ads", NOW, DAY)) is int
    assert read(contact, "interest", "", NOW, DAY) == 0
    assert read(contact, "stays", "", NOW + 90 * DAY, 0) == 7
    assert read(contact, "stays", "", NOW + 90 * DAY, DAY) == 7  # it was there before it began to decay
    decaying = {"lead": DAY, "interest": DAY}
    assert all_scores(contact, decaying, NOW + DAY) == {"lead": 5, "interest": {"seo": 1.5, "ads": 2}, "stays": 7}
    assert all_scores(contact, {}, NOW + DAY) == contact.scores


@given(st.lists(st.tuples(VALUES, INSTANTS), min_size=2, max_size=8), HALF_LIVES, st.integers(0, 300 * DAY))
def test_the_ranking_is_right_at_any_instant(scores: list[tuple[float, int]], half_life: int, later: int) -> None:
    places = sorted(scores, key=lambda s: place(*s, half_life))
    values = [remaining(value, since, NOW + later, half_life) for value, since in places]
    for better, worse in pairwise(values):
        # Two that are the same to nine digits may stand either way.
        assert better >= worse or better == pytest.approx(worse, rel=1e-6)


@given(VALUES, INSTANTS, HALF_LIVES, st.integers(0, 30 * DAY))
def test_a_place_tells_the_score(value: float, since: int, half_life: int, later: int) -> None:
    exact = remaining(value, since, NOW + later, half_life)
    assert value_at(place(value, since, half_life), NOW + later, half_life) == pytest.approx(exact, rel=1e-6, abs=1e-9)
    assert value_at(place(value, since, 0), NOW, 0) == value
    assert tidy(value) == pytest.approx(value)
