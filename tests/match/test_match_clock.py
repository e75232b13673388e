"""`compile_next_change`: up to there time alone changes nothing, and where it can be told exactly, there it does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from momentkit import DAY, HOUR, ZONES, moments, tree

from overture.match import compile_condition
from overture.match.clock import TRIES_OF_HISTORY, compile_next_change
from overture.model import Contact, Fact, Refused
from overture.model.series import Series
from overture.rules.clocked import Decay
from overture.rules.reach import walk
from overture.rules.tree import And, History, Node, Not, Or

HALF_LIVES = {"warm": 14 * DAY, "hot": HOUR, "per": 3 * DAY, "cold": 365 * DAY}
NOW = 1_774_602_000_000  # 2026-03-27T09:00Z
NOTHING = Fact("", "", "", 0, 0)


def condition(source: str) -> Node:
    return Decay(HALF_LIVES).node(tree(source))


def ada(now: int = NOW, **parts: Any) -> Contact:
    return Contact("ada", clock=now, **parts)


def next_change(node: Node, contact: Contact) -> int | None:
    return compile_next_change(node)(NOTHING, contact)


def holds(node: Node, contact: Contact, at: int) -> bool:
    later = contact.copy()
    later.clock = at
    return compile_condition(node)(NOTHING, later)


def facts(*at: int, values: list[float] | None = None) -> Series:
    return Series(len(at), sum(values or []), min(at), max(at), sorted(at), values or [])


@pytest.mark.parametrize(
    ("source", "parts", "after"),
    [
        ('count("a", within="7d") >= 2', {"a": facts(NOW - 6 * DAY, NOW - 5 * DAY, NOW - 1)}, 2 * DAY),
        ('3 > count("a", within="7d")', {"a": facts(NOW - 6 * DAY, NOW - 5 * DAY, NOW - 1)}, DAY),
        ('count("a", within="7d") == 1', {"a": facts(NOW - 6 * DAY, NOW - 5 * DAY, NOW - 1)}, 2 * DAY),
        ('count("a", within="7d") >= 4', {"a": facts(NOW - 6 * DAY, NOW - 5 * DAY, NOW - 1)}, None),
        ('count("a", within="7d") < 3.5', {"a": facts(NOW - 6 * DAY, NOW - 5 * DAY, NOW - 1)}, None),
        ('count("a", within="7d") != 0', {"a": facts(NOW - 6 * DAY, NOW - 5 * DAY, NOW - 1)}, 7 * DAY - 1),
        ('count("a") >= 1', {"a": facts(NOW)}, None),
        ('seen("a", within="1h")', {"a": facts(NOW - 1, NOW)}, HOUR),
        ('not seen("a", within="1h")', {}, None),
        # Friday 10:00 in Berlin; the clocks go forward on Sunday
        ('seen("a", within="today")', {"a": facts(NOW)}, 14 * HOUR),
        ('seen("a", within="this week")', {"a": facts(NOW)}, 61 * HOUR),
        ('seen("a", within="this month")', {"a": facts(NOW)}, 109 * HOUR),
        (
            'total("a", "n", within="7d") >= 5',
            {"a:n": facts(NOW - 6 * DAY, NOW - 5 * DAY, NOW - 1, values=[-1, 2, 4])},
            2 * DAY,
        ),
        ('count("a", within="1d") + count("b", within="1d") >= 2', {"a": facts(NOW), "b": facts(NOW - 5)}, DAY - 5),
        ('count("a", within="1d") > count("b", within="1d")', {"a": facts(NOW), "b": facts(NOW - 5)}, DAY - 5),
        ('round(count("a", within="1d") / 2) == 1', {"a": facts(NOW - 3, NOW - 2)}, DAY - 3),
    ],
)  # fmt: skip
def test_windows(source: str, parts: dict[str, Series], after: int | None) -> None:
    contact = ada(history=parts, traits={"timezone": "Europe/Berlin"})
    told = next_change(condition(source), contact)
    assert (told and told - NOW) == after


@pytest.mark.parametrize(
    ("source", "after"),
    [
        ('age(contact.since) > days("3d")', 2 * DAY + 1),
        ('age(contact.since) >= days("3d")', 2 * DAY),
        ('age(contact.since) / days("1d") >= 3', 2 * DAY),
        ('days("3d") < age(contact.since)', 2 * DAY + 1),
        ('now() - days("3d") == contact.since', 2 * DAY),
        ('contact.since + days("1d") == now()', 1),
        ('contact.since + days("1d") != now()', 1),
        ('now() < contact.since + days("2w")', 13 * DAY),
        ('2 * age(contact.since) + 5 >= days("3d")', DAY // 2 - 2),
        ('now() * 3 > contact.since * 3 + 3 * days("30h")', 6 * HOUR + 1),
        ('age(contact.since) > days("1h")', None),
        ('age(contact.nothing) > days("9d")', None),
        ('age(contact.text) > days("9d")', None),
        ("now() - now() > 3", None),
        ('age(last("a")) > days("30d")', 30 * DAY - 5),
        ('count("a", within="1d") > 0 and age(contact.since) < days("3d")', DAY - 6),
        ('count("a", within="1d") > 0 or age(contact.since) < days("3d")', 2 * DAY),
        ('contact.text == "y" and age(contact.since) > days("3d")', None),
        ('contact.text == "x" or age(contact.since) > days("3d")', None),
        ('not (age(contact.since) > days("3d") or contact.text == "y")', 2 * DAY + 1),
        ('has(contact.text) and seen("b", within="1d")', None),
        ("local(now()).hour >= 12", 2 * HOUR),
        ("local(now()).hour in [10, 11, 12]", 3 * HOUR),
        ("local(now()).weekday == 1", 61 * HOUR),
        ("local(now()).weekday in [6, 7] and local(now()).hour >= 9", 14 * HOUR),
        ("local(now()).month == local(contact.since).month", 109 * HOUR),
        ('local(now()).date == "2026-03-30"', 61 * HOUR),
        ("local(now()).year == 2026", 279 * DAY + 14 * HOUR),
        ("local(now()).month == 2 and local(now()).day == 28", 0),
        ("local(contact.since).hour == 3", None),
        ("contact.since > 3", None),
    ],
)
def test_time(source: str, after: int | None) -> None:
    traits = {"since": NOW - DAY, "text": "x", "timezone": "Europe/Berlin"}
    contact = ada(traits=traits, history={"a": facts(NOW - 6, NOW - 7)})
    node = condition(source)
    told = next_change(node, contact)
    if after == 0:  # looked at again on the way, as it is far
        assert told
        assert told > NOW
        return
    assert (told and told - NOW) == after
    if told:
        before = holds(node, contact, NOW)
        assert holds(node, contact, told - 1) is before


@pytest.mark.parametrize(
    ("source", "value", "after"),
    [
        ("contact.scores.warm >= 25", 100, 28 * DAY),
        ("contact.scores.warm > 25", 100, 28 * DAY),
        ("25 > contact.scores.warm", 100, 28 * DAY),
        ("contact.scores.warm == 50", 100, 14 * DAY),
        ("contact.scores.warm != 50", 100, 14 * DAY),
        ("contact.scores.warm <= -25", -100, 28 * DAY),
        ("contact.scores.warm > contact.scores.plain", 28, 14 * DAY),
        ("contact.scores.warm > 0", 2**-20, None),
        ("contact.scores.warm > 100", 100, None),
        ("contact.scores.warm > 101", 100, None),
        ("contact.scores.warm < -3", 100, None),
        ("contact.scores.warm >= 0", 100, None),
        ("contact.scores.warm == -3", 100, None),
        ("contact.scores.warm == 101", 100, None),
        ('contact.scores.warm > "x"', 100, None),
    ],
)
def test_scores_that_decay(source: str, value: float, after: int | None) -> None:
    contact = ada(scores={"warm": value, "plain": 14}, stamps={"warm": NOW})
    node = condition(source)
    told = next_change(node, contact)
    if value == 2**-20:
        assert told
        assert holds(node, contact, told - 1)
        assert not holds(node, contact, told)
        return
    if after is None:
        assert told is None
        return
    assert told
    assert abs(told - NOW - after) < 5_000  # as far as a millionth of the score goes
    assert holds(node, contact, told) is not holds(node, contact, told - 1)
    assert holds(node, contact, told - 1) is holds(node, contact, NOW)


def test_a_score_from_before_it_decayed_stays() -> None:
    assert next_change(condition("contact.scores.warm > 3"), ada(scores={"warm": 100})) is None
    assert next_change(condition("contact.scores.per.x > 3"), ada(scores={"per": {"x": 9}}, stamps={"per": {}})) is None
    assert next_change(condition("contact.scores.per > 3"), ada(scores={"per": {"x": 9}}, stamps={"per": {}})) is None


@pytest.mark.parametrize("source", ["now() % 5 == 3", "local(now()).minute > 3", "contact.scores.warm in [1]"])
def test_what_cannot_be_told_is_refused(source: str) -> None:
    with pytest.raises(Refused) as refused:
        next_change(condition(source), ada())
    assert refused.value.code == "condition.clock"


def test_who_asked_before_makes_no_difference() -> None:
    """Contacts of a zone share what they are told; one far from the change is told the same as if asked first."""
    for source in ("local(now()).hour == 3", "local(now()).month == 2", "local(now()).hour < 0"):
        node = condition(source)
        shared = compile_next_change(node)
        for now in (NOW, NOW + 5 * HOUR, NOW - 9 * DAY, NOW + 17 * HOUR, NOW + 300 * DAY, NOW + 5 * HOUR):
            for zone in ("Europe/Berlin", "America/New_York"):
                contact = ada(now, traits={"timezone": zone})
                assert shared(NOTHING, contact) == next_change(node, contact)


# --- generated -------------------------------------------------------------------------------------------------

WINDOWS = ["1s", "90m", "1d", "7d", "today", "this week", "this month"]
LENGTHS = [1_000, 90 * 60_000, DAY, 7 * DAY]
orders = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
numbers = st.sampled_from(["0", "1", "2", "3", "4.5", "-1", "contact.scores.plain", "contact.gone"])
spans = st.sampled_from(['days("1s")', 'days("1d")', 'days("30h")', 'days("7d")', "0", "contact.scores.plain"])
windowed = st.builds(
    lambda series, within: f'{series}, within="{within}")',
    st.sampled_from(['count("a"', 'count("b"', 'total("a", "n"']), st.sampled_from(WINDOWS),
)  # fmt: skip
seen = st.builds(lambda s, w: f'seen("{s}", within="{w}")', st.sampled_from("ab"), st.sampled_from(WINDOWS))
sums = st.builds(lambda a, op, b: f"{a} {op} {b}", windowed, st.sampled_from("+-*/"), windowed)
instants = st.sampled_from(["contact.since", 'last("a")', 'first("b")', "contact.gone", f"{NOW}"])
lines = st.one_of(
    st.builds(lambda x, op, d: f"age({x}) {op} {d}", instants, orders, spans),
    st.builds(lambda x, op, d: f"now() {op} {x} + {d}", instants, orders, spans),
    st.builds(
        lambda x, k, op, d: f"age({x}) {k} {op} {d}", instants, st.sampled_from(["* 3", "/ 7", "* -2"]), orders, spans
    ),
    st.builds(lambda x, op, w: f"age({x}) / 86400000 {op} {w}", instants, orders, windowed),
)
scores = st.builds(
    lambda s, op, n: f"contact.scores.{s} {op} {n}",
    st.sampled_from(["warm", "hot", "per.x", "cold", "plain"]), orders, st.one_of(numbers, windowed),
)  # fmt: skip
shown = st.one_of(
    st.builds(
        lambda name, op, n: f"local(now()).{name} {op} {n}",
        st.sampled_from(["weekday", "day", "month", "year"]), orders,
        st.sampled_from(["0", "1", "3", "9", "12", "28", "31", "2025", "local(contact.since).day"]),
    ),
    st.builds(lambda op, n: f"local(now()).hour {op} {n}", orders, st.sampled_from(["0", "3", "9", "23"])),
)  # fmt: skip
leaves = st.one_of(
    st.builds(lambda a, op, n: f"{a} {op} {n}", st.one_of(windowed, sums), orders, st.one_of(numbers, windowed)),
    seen, lines, scores, shown,
    st.sampled_from(["local(now()).hour in [9, 10, 21]", "contact.since > 5", 'contact.text == "x"']),
).map(condition)  # fmt: skip
conditions = st.recursive(
    leaves,
    lambda nodes: st.one_of(
        st.lists(nodes, min_size=2, max_size=3).map(lambda ns: And(tuple(ns))),
        st.lists(nodes, min_size=2, max_size=3).map(lambda ns: Or(tuple(ns))),
        nodes.map(Not),
    ),
    max_leaves=4,
)


@st.composite
def contacts(draw: st.DrawFn) -> Contact:
    zone = draw(st.sampled_from(ZONES))
    now = draw(moments(zone))
    ago = st.one_of(
        st.sampled_from([0, 1, -1, 999, 1_000, DAY, DAY - 1, 7 * DAY - 1, 7 * DAY, -HOUR]), st.integers(0, 40 * DAY)
    )
    history: dict[str, Series] = {}
    for series in ("a", "b"):
        at = sorted(now - a for a in draw(st.lists(ago, max_size=6)))
        if at:
            values = draw(st.lists(st.sampled_from([0.0, 1.0, 2.5, -1.0]), min_size=len(at), max_size=len(at)))
            history[series] = history[f"{series}:n"] = Series(len(at), sum(values), at[0], at[-1], at, values)
    value = st.sampled_from([0, 1, 4.5, 9, 100, -3, 1e-6, 0.333333])
    return Contact(
        "ada",
        clock=now,
        traits={"timezone": zone, "since": now - draw(ago), "text": draw(st.sampled_from("xy"))},
        scores={"warm": draw(value), "hot": draw(value), "cold": draw(value), "per": {"x": draw(value)}, "plain": 4},
        stamps={"warm": now, "hot": now - HOUR, "per": {"x": now - DAY}, "cold": now},
        history=history,
    )


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(conditions, contacts(), st.data())
def test_nothing_changes_before(node: Node, contact: Contact, data: st.DataObject) -> None:
    now = contact.clock
    told = next_change(node, contact)
    end = told if told is not None else now + 400 * DAY
    assert end > now
    event("never" if told is None else "told")
    before = holds(node, contact, now)
    kept = [at for series in contact.history.values() for at in series.at]
    turns = [at + w + d for at in kept for w in LENGTHS for d in (-1, 0, 1)]
    turns += [contact.traits["since"] + w + d for w in (*LENGTHS, 30 * HOUR) for d in (-1, 0, 1)]
    turns += data.draw(st.lists(st.integers(now, end - 1), max_size=20))
    for at in {end - 1, *(t for t in turns if now < t < end)}:
        assert holds(node, contact, at) is before, (at - now, end - now)


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(leaves, contacts())
def test_a_single_test_changes_where_it_is_told(node: Node, contact: Contact) -> None:
    told = next_change(node, contact)
    if told is None:
        return
    far = 40 * HOUR if "'hour'" in repr(node) else 40 * DAY
    looked_again = told - contact.clock > far or "year" in repr(node)
    mixed = any(part in repr(node) for part in ("History", "local")) and any(
        s in repr(node) for s in ("Decaying", "age")
    )
    windows = [part.window for part in walk(node) if isinstance(part, History) and part.window is not None]
    kept = {at + w.ms for series in contact.history.values() for at in series.at for w in windows}
    steps = sum(contact.clock < at <= told for at in kept)
    if any(w.calendar for w in windows):
        steps += (told - contact.clock) // DAY + 1
    given_up = steps >= TRIES_OF_HISTORY
    if not (looked_again or mixed or given_up):
        assert holds(node, contact, told) is not holds(node, contact, contact.clock)
