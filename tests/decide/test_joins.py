"""Rules over several facts, against a model that keeps every fact; and what is remembered of them."""

from __future__ import annotations

from itertools import product
from typing import Any

from decidekit import Show, encode, plan, rules
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide.limits import CANDIDATES, LATE, PART_BYTES
from overture.model import Fact

T = 1_800_000_000_000
HOUR = 3_600_000
DAY = 24 * HOUR

DOCUMENT = """\
facts:
  viewed: {path: string, n: number}
  bought: {n: number}
scores:
  s: {}
rules:
  prices-then-security:
    when:
      all:
        - first: fact.type == "viewed" and fact.path == "/pricing"
        - second: fact.type == "viewed" and fact.path == "/security"
      within: 1d
    then:
      - score: {name: s, add: 1}
  same-number-thrice:
    when:
      all:
        - first: fact.type == "viewed"
        - second: fact.type == "viewed" and fact.n == first.n and fact.path != first.path
        - third: fact.type == "bought" and fact.n > second.n - 1 and contact.scores.s < 100
      within: 12h
    then:
      - score: {name: s, add: 1}
"""
PLAN = plan(DOCUMENT)
Seen = tuple[str, int, int]  # path, or empty for a purchase; the hour it occurred; number

SEEN = st.lists(
    st.tuples(st.sampled_from(["/pricing", "/security", "/about", ""]), st.integers(0, 60), st.integers(1, 2)),
    max_size=12,
)


def fact(n: int, seen: Seen, contact: str = "ada") -> Fact:
    path, hour, number = seen
    kind, properties = ("viewed", {"path": path, "n": number}) if path else ("bought", {"n": number})
    return Fact(f"f{n}", kind, contact, T + hour * HOUR, T + 100 * HOUR, properties)


def expected(before: list[Seen], new: Seen) -> set[str]:
    """The rules that the last fact completes, by trying all facts in all places."""
    every = [*before, new]
    last = len(every) - 1
    found: set[str] = set()
    for chosen in product(range(len(every)), repeat=2):
        a, b = (every[i] for i in chosen)
        if last in chosen and (a[0], b[0]) == ("/pricing", "/security") and a[1] <= b[1] <= a[1] + 24:
            found.add("a/prices-then-security")
    for chosen in product(range(len(every)), repeat=3):
        a, b, c = (every[i] for i in chosen)
        own = last in chosen and len(set(chosen)) == 3 and a[0] and b[0] and not c[0]
        if own and a[1] <= b[1] <= c[1] <= a[1] + 12 and a[2] == b[2] and a[0] != b[0] and c[2] > b[2] - 1:
            found.add("a/same-number-thrice")
    return found


@settings(max_examples=300)
@given(SEEN)
def test_whichever_fact_comes_last_completes_it(seen: list[Seen]) -> None:
    show = Show(PLAN)
    for n, one in enumerate(seen):
        assert set(rules(show.take(fact(n, one)))) == expected(seen[:n], one)


@settings(max_examples=100)
@given(SEEN, st.randoms(use_true_random=False))
def test_the_order_of_acceptance_leaves_no_mark(seen: list[Seen], dice: Any) -> None:
    numbered = list(enumerate(seen))
    states: list[bytes] = []
    fired: list[set[str]] = []
    for order in (numbered, dice.sample(numbered, len(numbered))):
        show = Show(PLAN)
        fired.append({rule for n, one in order for rule in rules(show.take(fact(n, one)))})
        states.append(encode(show.contact.joins))
    assert states[0] == states[1]
    assert fired[0] == fired[1]


@settings(max_examples=100)
@given(SEEN, SEEN)
def test_two_contacts_that_become_one_remember_what_one_would(mine: list[Seen], theirs: list[Seen]) -> None:
    known, visitor, one = Show(PLAN), Show(PLAN, "anonymous_id:x"), Show(PLAN)
    for n, seen in enumerate(mine + theirs):
        show = known if n < len(mine) else visitor
        show.take(fact(n, seen, show.contact.id))
        one.take(fact(n, seen))
    at = T + 100 * HOUR
    (merge,) = visitor.take(Fact("f$", "$link", "anonymous_id:x", at, at, {"into": "ada"})).forwards
    assert encode(known.take(merge).contact.joins) == encode(one.contact.joins)


def test_a_fact_that_completes_several_fires_once_and_each_one_fires() -> None:
    show = Show(PLAN)
    for n, hour in enumerate([0, 1, 2]):
        assert rules(show.take(fact(n, ("/pricing", hour, n)))) == []
    assert rules(show.take(fact(3, ("/security", 5, 9)))) == ["a/prices-then-security"]
    assert rules(show.take(fact(4, ("/security", 6, 9)))) == ["a/prices-then-security"]
    assert rules(show.take(fact(5, ("/security", 40, 9)))) == []
    assert rules(show.take(fact(6, ("/pricing", 4, 9)))) == ["a/prices-then-security"]  # late, and it is the first


def test_only_what_the_join_reads_is_remembered_of_the_newest() -> None:
    show = Show(PLAN)
    for n in range(CANDIDATES + 5):
        show.take(fact(n, ("/pricing", n, 1)))
    prices, thrice = show.contact.joins.values()
    assert [c.id for c in prices[0]] == [f"f{n}" for n in range(5, CANDIDATES + 5)]
    assert prices[1] == []
    assert prices[0][0].properties == {}
    assert thrice[0][0].properties == {"n": 1, "path": "/pricing"}
    show.take(Fact("long", "viewed", "ada", T + DAY, T + DAY, {"path": "/" + "x" * PART_BYTES, "n": 1}))
    _, thrice = show.contact.joins.values()
    (long,) = (c for c in thrice[0] if c.id == "long")
    assert long.properties == {"n": 1}


def test_what_nothing_can_come_for_any_more_is_forgotten() -> None:
    show = Show(PLAN)
    show.take(fact(1, ("/pricing", 0, 1)))
    later = show.contact.clock + DAY + LATE
    show.take(Fact("f2", "viewed", "ada", later, later, {"path": "/pricing", "n": 1}))
    prices, _ = show.contact.joins.values()
    assert [c.id for c in prices[0]] == ["f2"]


def test_a_join_that_says_another_thing_after_a_deploy_begins_anew() -> None:
    show = Show(PLAN)
    show.take(fact(1, ("/pricing", 0, 1)))
    show.plan = plan(DOCUMENT.replace("within: 12h", "within: 13h"), version=2)
    show.take(Fact("f2", "other", "ada", T + 101 * HOUR, T + 101 * HOUR))
    (kept,) = show.contact.joins.values()
    assert [[c.id for c in part] for part in kept] == [["f1"], []]
    assert rules(show.take(fact(3, ("/security", 5, 1)))) == ["a/prices-then-security"]


def test_derived_facts_take_part_and_once_per_is_asked() -> None:
    text = """\
facts:
  a: {}
  b: {}
scores:
  s: {}
rules:
  a:
    when: fact.type == "a"
    then:
      - assert: {type: b}
  both:
    when:
      all:
        - first: fact.type == "a"
        - second: fact.type == "b"
      within: 1h
    once_per: contact
    then:
      - score: {name: s, add: 1}
"""
    show = Show(plan(text))
    outcome = show.take(Fact("f1", "a", "ada", T, T))
    assert rules(outcome) == ["a/a", "a/both"]
    assert rules(show.take(Fact("f2", "a", "ada", T + 1, T + 1))) == ["a/a"]
    assert show.contact.scores == {"s": 1}
