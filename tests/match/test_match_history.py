"""Windows of history against a naive model that looks at every fact again; and what the calendar of a zone says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from momentkit import DAY, HOUR, ZONES, moments, ms, naive_start, shown, tree

from overture.decide import Plan, step
from overture.match import compile_value
from overture.match.zone import local_field, next_field_step, period_end, period_start, zone_of
from overture.model import Contact, Fact
from overture.model.series import LONGEST, Series
from overture.rules import link, load

WITHIN = ["today", "this week", "this month", "1s", "90m", "1d", "7d", "4w"]
LENGTH = {"1s": 1_000, "90m": 90 * 60_000, "1d": DAY, "7d": 7 * DAY, "4w": 28 * DAY}
CALENDAR = {"today": "day", "this week": "week", "this month": "month"}
WHERE = {"": lambda p: True, "fact.n >= 3": lambda p: p.get("n", 0) >= 3, 'fact.x == "a"': lambda p: p.get("x") == "a"}


def features() -> dict[str, tuple[str, str, str]]:
    """Expression → kind, window, filter."""
    found: dict[str, tuple[str, str, str]] = {}
    for where in WHERE:
        said = f", where={json.dumps(where)}" if where else ""
        for within in ["", *WITHIN]:
            over = f', within="{within}"' if within else ""
            found[f'count("a"{over}{said})'] = ("count", within, where)
            found[f'seen("a"{over}{said})'] = ("seen", within, where)
            found[f'total("a", "n"{over}{said})'] = ("total", within, where)
        found[f'last("a"{said})'] = ("last", "", where)
        found[f'first("a"{said})'] = ("first", "", where)
    return found


FEATURES = features()
GETS = {source: compile_value(tree(source)) for source in FEATURES}
RULES = {
    f"r{i}": {"when": f'fact.type == "a" and has(fact.x) and {source} != 0'} | {"then": [{"set": {"seen": True}}]}
    for i, source in enumerate(source for source, (kind, _, _) in FEATURES.items() if kind != "seen")
}
PLAN = Plan(
    link(
        [
            load(
                json.dumps(
                    {
                        "apiVersion": "overture/v1",
                        "kind": "Ruleset",
                        "name": "h",
                        "facts": {"a": {"n": "number?", "x": "string?"}, "b": {}},
                        "traits": {"seen": "bool?"},
                        "rules": RULES,
                    }
                )
            )
        ],
        1,
    ),
    "reference",
)


def naive(kind: str, within: str, where: str, told: list[Fact], contact: Contact, zone: str) -> Any:
    facts = [f for f in told if f.type == "a" and WHERE[where](f.properties)]
    if within in LENGTH:
        facts = [f for f in facts if f.occurred_at > contact.clock - LENGTH[within]]
    elif within:
        begin = naive_start(contact.clock, CALENDAR[within], zone)
        facts = [f for f in facts if f.occurred_at >= begin]
    match kind:
        case "count":
            return len(facts)
        case "seen":
            return bool(facts)
        case "total":
            return pytest.approx(sum(f.properties.get("n", 0) for f in facts), abs=1e-6)
        case "last":
            return max((f.occurred_at for f in facts), default=None)
        case _:
            return min((f.occurred_at for f in facts), default=None)


properties = st.fixed_dictionaries(
    {}, optional={"n": st.sampled_from([0, 1, 3, 0.1, -2.5]), "x": st.sampled_from("ab")}
)


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, list[Fact]]:
    """Facts in the order of acceptance, many of them late."""
    zone = draw(st.sampled_from(ZONES))
    at = draw(moments(zone))
    facts: list[Fact] = []
    for i in range(draw(st.integers(1, 12))):
        at += draw(st.sampled_from([0, 1, 1_000, HOUR, 5 * HOUR, DAY, 3 * DAY, 9 * DAY]))
        late = draw(st.sampled_from([0, 0, 0, 1, 1_000, HOUR, DAY, 8 * DAY, 40 * DAY, -HOUR]))
        kind = draw(st.sampled_from("aaab"))
        facts.append(Fact(f"f{i}", kind, "ada", at - late, at, draw(properties)))
    return zone, facts


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(histories())
def test_windows_are_what_looking_at_every_fact_again_says(history: tuple[str, list[Fact]]) -> None:
    zone, facts = history
    contact = Contact("ada", traits={"timezone": zone})
    for n, fact in enumerate(facts, 1):
        contact = step(contact, fact, PLAN, 0).contact
        seen = {source: get(fact, contact) for source, get in GETS.items()}
        assert seen == {s: naive(*what, facts[:n], contact, zone) for s, what in FEATURES.items()}


def test_more_facts_than_are_kept() -> None:
    contact = Contact("ada")
    for i in range(LONGEST + 200):
        contact = step(contact, Fact(f"f{i}", "a", "ada", 1_000 + i, 1_000 + i, {"n": 1, "x": "a"}), PLAN, 0).contact
    seen = {source: GETS[source](Fact("", "", "", 0, 0), contact) for source in GETS}
    assert seen['count("a")'] == seen['total("a", "n")'] == LONGEST + 200
    assert seen['count("a", within="7d")'] == seen['total("a", "n", within="7d")'] == LONGEST
    assert (seen['first("a")'], seen['last("a")']) == (1_000, 1_000 + LONGEST + 199)


# --- calendars -------------------------------------------------------------------------------------------------


@st.composite
def placed(draw: st.DrawFn) -> tuple[str, int]:
    zone = draw(st.sampled_from(ZONES))
    return zone, draw(moments(zone))


@settings(max_examples=400)
@given(placed(), st.sampled_from(["day", "week", "month"]))
def test_days_weeks_and_months_begin_where_the_contact_lives(place: tuple[str, int], calendar: str) -> None:
    zone, at = place
    info = zone_of(Contact("ada", traits={"timezone": zone}))
    begin, end = period_start(at, calendar, info), period_end(at, calendar, info)
    assert begin == naive_start(at, calendar, zone)
    assert begin <= at < end
    assert period_start(end - 1, calendar, info) == begin
    assert period_start(end, calendar, info) == end


@settings(max_examples=400)
@given(placed(), st.sampled_from(["hour", "minute", "weekday", "day", "month", "year", "date"]), st.data())
def test_what_clocks_show_does_not_change_before_the_next_step(
    place: tuple[str, int], name: str, data: st.DataObject
) -> None:
    zone, at = place
    contact = Contact("ada", traits={"timezone": zone})
    local = shown(at, zone)
    expected: dict[str, Any] = {"weekday": local.isoweekday(), "date": local.date().isoformat()}
    now = local_field(at, name, contact)
    assert now == expected.get(name, getattr(local, name, None))
    after = next_field_step(at, name, zone_of(contact))
    assert after > at
    for between in (after - 1, data.draw(st.integers(at, after - 1)), data.draw(st.integers(at, after - 1))):
        assert local_field(between, name, contact) == now


@pytest.mark.parametrize(
    "name",
    ["Mars/Base", "", "../../etc/passwd", "localtime", "posix/Europe/Berlin", "Europe", 3, None, "x" * 5000, "\0"],
)
def test_without_a_known_zone_it_is_utc(name: Any) -> None:
    contact = Contact("ada", traits={"timezone": name})
    noon = ms(datetime(2026, 7, 1, 12, tzinfo=UTC))
    assert local_field(noon, "hour", contact) == 12


@pytest.mark.parametrize("instant", [None, True, "3", float("nan"), float("inf"), 2**53, -(2**53), [1]])
def test_what_is_no_instant_shows_nothing(instant: Any) -> None:
    assert local_field(instant, "year", Contact("ada")) is None


def test_a_series_without_facts_says_nothing() -> None:
    fact, contact = Fact("", "", "", 0, 0), Contact("ada", history={"a": Series()})
    for source, (kind, _, _) in FEATURES.items():
        expected = {"count": 0, "total": 0, "seen": False, "last": None, "first": None}[kind]
        assert GETS[source](fact, contact) == expected
