"""What outcomes say for one way being better: exactly, by going through all that can happen."""

from __future__ import annotations

from functools import cache
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overture.model.evidence import Count, evidence, lead

EVEN = {"a": 1, "b": 1, "c": 1}
counts = st.integers(0, 300).flatmap(lambda n: st.builds(Count, st.integers(0, n), st.just(n)))


def ever(level: float, rates: tuple[float, float], most: int, share: float = 0.5) -> float:
    """The probability that somebody who looks after each contact ever finds a better than b, at up to ``most``
    contacts: by all sequences of ways and outcomes.
    """

    @cache
    def from_(a: Count, b: Count) -> float:
        if evidence(a, b, share) >= level:
            return 1.0
        if a.n + b.n == most:
            return 0.0
        on_a = rates[0] * from_(Count(a.x + 1, a.n + 1), b) + (1 - rates[0]) * from_(Count(a.x, a.n + 1), b)
        on_b = rates[1] * from_(a, Count(b.x + 1, b.n + 1)) + (1 - rates[1]) * from_(a, Count(b.x, b.n + 1))
        return share * on_a + (1 - share) * on_b

    return from_(Count(0, 0), Count(0, 0))


@pytest.mark.parametrize("share", [0.5, 0.1])
@pytest.mark.parametrize("rates", [(0.5, 0.5), (0.05, 0.05), (0.9, 0.9), (0.2, 0.3), (0.0, 0.0), (1.0, 1.0)])
def test_who_looks_all_the_time_is_wrong_no_more_often_than_was_asked(rates: tuple[float, float], share: float) -> None:
    for alpha in (0.5, 0.1):
        assert ever(log(1 / alpha), rates, 18, share) <= alpha


def test_a_better_way_is_found_and_a_worse_one_is_not() -> None:
    assert ever(log(20), (0.95, 0.05), 18) > 0.8
    assert ever(log(20), (0.05, 0.95), 18) == pytest.approx(0, abs=1e-9)


@given(st.floats(0.05, 0.95), st.floats(0, 1), st.floats(0, 1), counts, counts)
def test_one_more_contact_is_no_evidence_on_average_where_a_is_no_better(
    share: float, one: float, other: float, a: Count, b: Count
) -> None:
    p, q = sorted((one, other))

    def e(a: Count, b: Count) -> float:
        return exp(evidence(a, b, share))

    on_a = p * e(Count(a.x + 1, a.n + 1), b) + (1 - p) * e(Count(a.x, a.n + 1), b)
    on_b = q * e(a, Count(b.x + 1, b.n + 1)) + (1 - q) * e(a, Count(b.x, b.n + 1))
    assert share * on_a + (1 - share) * on_b <= e(a, b) * (1 + 1e-9)


def test_nothing_is_said_of_equals_or_of_nobody() -> None:
    assert evidence(Count(0, 0), Count(0, 0), 0.5) == pytest.approx(0)
    assert lead({"a": Count(5, 10)}, EVEN) is None
    assert lead({"a": Count(5, 10), "b": Count(0, 0)}, EVEN) is None
    assert certainty("b", {"a": Count(5, 10), "b": Count(5, 10)}) == 0


def certainty(way: str, ways: dict[str, Count]) -> float:
    found = lead(ways, EVEN)
    assert found is not None
    assert found.way == way
    return found.certainty


def test_among_three_the_best_must_be_better_than_each() -> None:
    low, high = Count(100, 1000), Count(160, 1000)
    assert certainty("b", {"a": low, "b": Count(200, 1000), "c": low}) > 0.999
    assert certainty("b", {"a": Count(190, 1000), "b": Count(200, 1000), "c": low}) == 0
    assert 0.5 < certainty("b", {"a": low, "b": high, "c": low}) < certainty("b", {"a": low, "b": high})
