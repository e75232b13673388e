"""Series: what a contact remembers of its facts, against a model that keeps all of them."""

from __future__ import annotations

from typing import Any

import pytest
from decidekit import Show, encode, plan, rules
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.match import compile_condition
from overture.model import Contact, Fact
from overture.model.series import LONGEST

T = 1_800_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR

# Each segment is there for its condition; what it says is compared with the model below.
DOCUMENT = """\
facts:
  bought: {total: number, kind: "string?"}
  viewed: {}
scores:
  s: {}
rules:
  third:
    when: fact.type == "bought" and count("bought", within="2d") == 3
    then:
      - score: {name: s, add: 1}
  echo:
    when: fact.type == "bought" and fact.kind == "echo"
    then:
      - assert: {type: viewed}
segments:
  two-in-a-day:
    when: count("bought", within="1d") >= 2
  spent:
    when: total("bought", "total", within="3d", where="fact.kind == 'a'") > 10
  ever:
    when: total("bought", "total") > 20
  looked:
    when: seen("viewed")
"""
PLAN = plan(DOCUMENT)
ANY = Fact("", "", "", 0, 0)

Bought = tuple[int, int, float, str]  # when it occurred and how much later it was accepted, hours; total; kind


def feed(show: Show, facts: list[Bought]) -> None:
    """In the order of acceptance."""
    for n, (occurred, delay, total, kind) in enumerate(sorted(facts, key=lambda f: f[0] + f[1])):
        at = T + occurred * HOUR
        show.take(Fact(f"f{n}", "bought", "ada", at, at + delay * HOUR, {"total": total, "kind": kind}))


BOUGHT = st.lists(
    st.tuples(
        st.integers(0, 120),
        st.sampled_from([0, 0, 0, 1, 30, 100]),
        st.sampled_from([1.0, 2.5, 0.1, 7.0, -3.0]),
        st.sampled_from(["a", "b", "echo"]),
    ),
    max_size=30,
)


@settings(max_examples=150)
@given(BOUGHT)
def test_windows_say_what_all_facts_together_say(facts: list[Bought]) -> None:
    show = Show(PLAN)
    feed(show, facts)
    clock = max((T + (o + d) * HOUR for o, d, _, _ in facts), default=0)
    assert show.contact.clock == clock

    conditions = {s.name: compile_condition(s.when) for s in PLAN.program.segments if s.when is not None}
    contact = show.contact.copy()
    for later in (0, 5, 24, 47, 80):  # hours after the last fact
        contact.clock = clock + later * HOUR

        def within(days: int) -> list[Bought]:
            return [f for f in facts if T + f[0] * HOUR > contact.clock - days * DAY]

        expected = {
            "two-in-a-day": len(within(1)) >= 2,
            "spent": round(sum(f[2] for f in within(3) if f[3] == "a"), 6) > 10,
            "ever": round(sum(f[2] for f in facts), 6) > 20,
            "looked": any(f[3] == "echo" for f in facts),
        }
        assert {name: holds(ANY, contact) for name, holds in conditions.items()} == expected
        if not later and facts:
            assert {name: name in contact.segments for name in conditions} == expected
    for series in show.contact.history.values():
        assert series.at == sorted(series.at)
        assert len(series.values) in (0, len(series.at))


@settings(max_examples=100)
@given(BOUGHT, st.randoms(use_true_random=False))
def test_the_order_of_acceptance_leaves_no_mark(facts: list[Bought], dice: Any) -> None:
    """Facts that are late for one another: what is remembered is the same in the end."""
    shuffled = dice.sample(facts, len(facts))
    states: list[bytes] = []
    for order in (facts, shuffled):
        show = Show(PLAN)
        for n, (occurred, _, total, kind) in enumerate(order):
            at = T + occurred * HOUR
            show.take(Fact(f"f{n}", "bought", "ada", at, T + 1000 * HOUR, {"total": total, "kind": kind}))
        states.append(encode(show.contact.history))
    assert states[0] == states[1]


def test_what_left_the_longest_window_is_forgotten_and_the_figures_stay() -> None:
    show = Show(PLAN)
    feed(show, [(0, 0, 5.0, "a"), (1, 0, 1.0, "a"), (80, 0, 2.0, "a"), (3, 100, 9.0, "a")])
    (spent,) = (s for id, s in show.contact.history.items() if "?" in id)
    assert (spent.n, spent.total, spent.first, spent.last) == (4, 17, T, T + 80 * HOUR)
    assert (spent.at, spent.values) == ([T + 80 * HOUR], [2.0])


def test_the_newest_thousand_are_kept() -> None:
    show = Show(plan('facts:\n  a: {}\nsegments:\n  s:\n    when: count("a", within="9w") > 5\n'))
    for n in range(LONGEST + 30):
        show.take(Fact(f"f{n}", "a", "ada", T + n, T + n))
    (series,) = show.contact.history.values()
    assert (series.n, series.at) == (LONGEST + 30, [T + n for n in range(30, LONGEST + 30)])
    show.take(Fact("late", "a", "ada", T + 1, T + 10_000))
    (series,) = show.contact.history.values()
    assert (series.n, series.at[0]) == (LONGEST + 31, T + 30)


def test_the_present_fact_counts_and_so_do_derived_ones() -> None:
    show = Show(PLAN)
    fired = []
    for n in range(4):
        outcome = show.take(Fact(f"f{n}", "bought", "ada", T + n, T + n, {"total": 1, "kind": "echo"}))
        fired.append("a/third" in rules(outcome))
    assert fired == [False, False, True, False]
    assert show.contact.history["viewed"].n == 4


def test_a_rolled_back_fact_is_remembered_but_nothing_derived() -> None:
    facts = "".join(f"  c{n}: {{}}\n" for n in range(22))
    links = "".join(
        f'  r{n}:\n    when: fact.type == "c{n}" and seen("c{n}")\n    then:\n      - assert: {{type: c{n + 1}}}\n'
        for n in range(20)
    )
    show = Show(plan(f"facts:\n{facts}rules:\n{links}"))
    outcome = show.take(Fact("f1", "c0", "ada", T, T))
    assert outcome.trace.error.startswith("chain.too_deep")
    assert {id: s.n for id, s in outcome.contact.history.items()} == {"c0": 1}


def test_a_series_that_nobody_needs_any_more_is_dropped() -> None:
    show = Show(PLAN)
    feed(show, [(0, 0, 5.0, "a")])
    assert len(show.contact.history) == 3
    show.plan = plan('facts:\n  bought: {}\nsegments:\n  s:\n    when: count("bought", within="1d") > 5\n', version=2)
    show.take(Fact("f9", "other", "ada", T + HOUR, T + HOUR))
    assert {id: s.n for id, s in show.contact.history.items()} == {"bought": 1}


@settings(max_examples=100)
@given(BOUGHT, BOUGHT)
def test_two_contacts_that_become_one_remember_what_one_would(mine: list[Bought], theirs: list[Bought]) -> None:
    known, visitor, one = Show(PLAN), Show(PLAN, "anonymous_id:x"), Show(PLAN)
    later = T + 1000 * HOUR
    for n, (occurred, _, total, kind) in enumerate(mine + theirs):
        for show in (known if n < len(mine) else visitor, one):
            properties = {"total": total, "kind": kind}
            show.take(Fact(f"f{n}", "bought", show.contact.id, T + occurred * HOUR, later, properties))
    order = Fact("f$", "$link", "anonymous_id:x", later, later, {"into": "ada"})
    (merge,) = visitor.take(order).forwards
    merged = known.take(merge).contact
    assert encode(merged.history) == encode(one.contact.history)
    assert set(merged.segments) == set(one.contact.segments)


@pytest.mark.parametrize("length", [10, 3_000])
def test_a_fact_costs_the_same_however_long_the_history(length: int) -> None:
    """In what is stored: nothing grows beyond the bound."""
    show = Show(PLAN, "ada")
    contact = Contact("ada")
    for n in range(length):
        at = T + n * HOUR // 100
        contact = show.take(Fact(f"f{n}", "bought", "ada", at, at, {"total": 1.0, "kind": "a"})).contact
    assert sum(len(s.at) for s in contact.history.values()) <= 2 * LONGEST
    assert contact.history["bought"].n == length


@pytest.mark.parametrize(
    ("field", "expected"),
    [("n", 3.5), ("o.n", 7), ("occurred_at", 2 * T), ("o.text", 0), ("o.flag", 0), ("n.n", 0), ("o.far", 0)],
)
def test_a_total_adds_up_what_a_condition_reads_in_the_field(field: str, expected: float) -> None:
    """Also the instant, which every fact has; what is no number, or one that cannot be counted on, adds nothing."""
    declared = "facts:\n  ev: {n: any?, o: object?}\n"
    show = Show(plan(f'{declared}segments:\n  s:\n    when: total("ev", "{field}") > 1\n'))
    show.fact("ev", T, n=1, o={"n": 3, "text": "7", "flag": True, "far": 2**53 + 1})
    show.fact("ev", T, n=2.5, o={"n": 4, "far": float("inf")})
    (series,) = show.contact.history.values()
    assert (series.n, series.total) == (2, expected)
    assert ("s" in show.contact.segments) == (expected > 1)
