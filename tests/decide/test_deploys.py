"""``$program``: contacts brought up to date with no fact of theirs, and series made from the record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
from decidekit import HEAD, Show, done, made
from hypothesis import given
from hypothesis import strategies as st

from overture.decide import Plan
from overture.decide.rebuilding import Rebuilding
from overture.model import Contact, Fact, Step
from overture.rules import Program, link, load
from overture.rules.series import keeps, since

DAY = 86_400_000
FACTS = "facts: {bought: {total: number}}\n"
PLAIN = FACTS
COUNTED = FACTS + "segments: {often: {when: 'count(\"bought\") >= 3'}}\n"
WEEKLY = (
    FACTS
    + """segments:
  often: {when: 'count("bought") >= 3'}
  lately: {when: 'total("bought", "total", within="7d") >= 5'}
  monthly: {when: 'total("bought", "total", within="30d") >= 5'}
"""
)
WELCOMED = """facts: {bought: {total: number}}
on_activate: MODE
scores: {welcomed: {}}
segments:
  buyer: {when: 'count("bought") >= 1', on_enter: [{score: {name: welcomed, add: 1}}]}
rules: {told: {when: 'fact.type == "segment.entered"', then: [{score: {name: welcomed, add: 10}}]}}
"""


class Deploys:
    """Versions of one ruleset, each knowing since when its series are kept."""

    def __init__(self, *documents: str) -> None:
        self.programs: list[Program] = []
        rows: Mapping[str, Any] = {}
        for version, text in enumerate(documents, 1):
            program = link([load(HEAD.format(name="a") + text)], version)
            rows = since(keeps(program.series), rows, version)
            self.programs.append(replace(program, since=rows))
        self.plans = [Plan(program, "reference") for program in self.programs]

    def record(self, version: int, contact: str, facts: list[tuple[Fact, int]], clock: int) -> dict[str, Any]:
        """What a sweep to ``version`` reads of facts and the versions that decided them."""
        program = self.programs[version - 1]
        making = Rebuilding(program, list(program.since))
        for fact, by in facts:
            making.show(contact, fact, by, clock)
        return msgspec.to_builtins(dict(making.of(contact)))


def sweep(version: int, at: int, series: Mapping[str, Any] | None = None, of: str = "ada") -> Fact:
    told = {"version": version, "of": of, "series": dict(series or {})}
    return Fact(f"program:{version}", "$program", "ada", at, at, told)


def swept(show: Show, deploys: Deploys, version: int, facts: list[tuple[Fact, int]]) -> Step:
    series = deploys.record(version, "ada", facts, show.contact.clock)
    return show.take(sweep(version, show.contact.clock + 1000, series))


def test_it_moves_segments_and_leaves_no_trace_where_nothing_moves() -> None:
    deploys = Deploys(PLAIN, COUNTED)
    show = Show(deploys.plans[0])
    facts = [(show.fact("bought", total=1).trace.fact, 1) for _ in range(3)]
    show.plan = deploys.plans[1]
    seq = show.contact.seq
    outcome = swept(show, deploys, 2, facts)
    assert [(e.kind, e.name, e.after) for e in outcome.trace.effects] == [("segment", "often", True)]
    assert outcome.moments == [outcome.trace]
    assert outcome.trace.fact.properties == {"version": 2}
    assert (show.contact.seq, show.contact.partial) == (seq + 1, {})
    updated = show.contact.updated_at
    again = show.take(sweep(2, show.contact.clock + DAY))
    assert again.moments == []
    assert (show.contact.seq, show.contact.updated_at) == (seq + 1, updated)


def test_a_contact_that_does_not_exist_is_not_made() -> None:
    show = Show(Deploys(COUNTED).plans[0])
    outcome = show.take(sweep(1, 1_800_000_000_000))
    assert not outcome.kept
    assert show.contact == Contact("ada")


def test_entering_is_silent_unless_the_revision_declares_otherwise() -> None:
    for mode, points in (("silent", {}), ("apply", {"welcomed": 11})):
        deploys = Deploys(PLAIN, WELCOMED.replace("MODE", mode))
        for own in (False, True):  # the contact's own fact comes before the sweep, and again after it
            show = Show(deploys.plans[0])
            facts = [(show.fact("bought", total=1).trace.fact, 1)]
            show.plan = deploys.plans[1]
            if own:
                show.fact("seen")
            swept(show, deploys, 2, facts)
            assert "buyer" in show.contact.segments
            assert show.contact.scores == points, (mode, own)
            show.fact("seen")
            swept(show, deploys, 2, facts)
            assert show.contact.scores == points, (mode, own)


def test_a_contact_whose_history_is_still_coming_in_keeps_its_clock_and_is_sent_nothing() -> None:
    deploys = Deploys(PLAIN, WELCOMED.replace("MODE", "apply"))
    show = Show(deploys.plans[0])
    now = 1_800_000_000_000
    old = Fact("h", "bought", "ada", now - 90 * DAY, now, {"total": 1}, backfill=True)
    show.take(old)
    show.plan = deploys.plans[1]
    outcome = show.take(sweep(2, now + 1000, deploys.record(2, "ada", [(old, 1)], show.contact.clock)))
    assert show.contact.clock == old.occurred_at
    assert outcome.trace.fact.backfill


def test_what_comes_before_the_sweep_is_counted_together_with_the_record_once() -> None:
    deploys = Deploys(PLAIN, COUNTED)
    show = Show(deploys.plans[0])
    facts = [(show.fact("bought", total=1).trace.fact, 1) for _ in range(2)]
    show.plan = deploys.plans[1]
    facts.append((show.fact("bought", total=1).trace.fact, 2))
    assert show.contact.history["bought"].n == 1
    assert show.contact.partial == {"bought": ["ada"]}
    outcome = swept(show, deploys, 2, facts)
    assert show.contact.history["bought"].n == 3
    assert "often" in show.contact.segments
    assert done(outcome) == []
    swept(show, deploys, 2, facts)
    assert show.contact.history["bought"].n == 3


Told = tuple[str, int, int]
TOLD = st.one_of(
    st.tuples(st.just("fact"), st.integers(0, 40), st.integers(1, 5)),
    st.tuples(st.just("deploy"), st.integers(0, 2), st.just(0)),
    st.tuples(st.just("sweep"), st.just(0), st.just(0)),
)


@given(st.lists(TOLD, max_size=30))
def test_after_the_sweep_the_series_are_those_of_a_contact_that_kept_them_always(told: list[Told]) -> None:
    """Deploys in any order, each swept or overtaken by the next, facts early, late and between them."""
    documents = [PLAIN, COUNTED, WEEKLY]
    order = [0, *(what for kind, what, _ in told if kind == "deploy"), 2]
    deploys = Deploys(*(documents[n] for n in order))
    always = Show(Plan(deploys.programs[-1], "reference"))
    always.plan.program = replace(always.plan.program, since={})
    show, version = Show(deploys.plans[0]), 1
    facts: list[tuple[Fact, int]] = []
    clock = 1_800_000_000_000
    for kind, days, total in [*told, ("deploy", 2, 0)]:
        clock += DAY // 3
        if kind == "fact":
            fact = replace_time(made("bought", len(facts) + 1, 0, {"total": total}), clock - days * DAY, clock)
            show.take(fact)
            always.take(fact)
            facts.append((fact, version))
        elif kind == "deploy":
            version += 1
            show.plan = deploys.plans[version - 1]
        elif show.contact.seq:
            show.take(sweep(version, clock, deploys.record(version, "ada", facts, show.contact.clock)))
            always.take(Fact(f"tick:{clock}", "$tick", "ada", clock, clock))
    if not facts:
        return
    clock += 1000
    show.take(sweep(version, clock, deploys.record(version, "ada", facts, show.contact.clock)))
    always.take(sweep(version, clock))
    for id, kept in always.contact.history.items():
        keep = deploys.programs[-1].since[id].keep_ms
        assert visible(show.contact, id, keep) == visible(always.contact, id, keep), id
        assert kept.n == show.contact.history[id].n
    assert set(show.contact.segments) == set(always.contact.segments)
    assert show.contact.due == always.contact.due
    assert show.contact.partial == {}


def replace_time(fact: Fact, occurred_at: int, accepted_at: int) -> Fact:
    return msgspec.structs.replace(fact, occurred_at=occurred_at, accepted_at=accepted_at)


def visible(contact: Contact, id: str, keep: int) -> Any:
    """A series without what has left every window."""
    s = contact.history[id]
    cut = contact.clock - keep
    seen = [(at, value) for at, value in zip(s.at, s.values or [0.0] * len(s.at), strict=True) if at > cut]
    return (s.n, s.total, s.first, s.last, seen)


def test_a_contact_merged_on_the_way_hands_on_what_its_record_says() -> None:
    deploys = Deploys(PLAIN, COUNTED)
    before, after = deploys.plans
    show, anonymous = Show(before), Show(before, "anon")
    mine = [(show.fact("bought", total=1).trace.fact, 1)]
    theirs = [(anonymous.fact("bought", total=1).trace.fact, 1) for _ in range(2)]
    show.plan = anonymous.plan = after
    swept(show, deploys, 2, mine)
    assert show.contact.history["bought"].n == 1
    # It becomes known before the sweep comes to it: then its facts are still to be told.
    at = anonymous.contact.clock + 1000
    (merge,) = anonymous.take(Fact("l", "$link", "anon", at, at, {"into": "ada"})).forwards
    show.take(merge)
    assert (show.contact.history["bought"].n, show.contact.partial) == (1, {"bought": ["anon"]})
    told = sweep(2, at + 1000, deploys.record(2, "anon", theirs, at), "anon")
    (onward,) = anonymous.take(msgspec.structs.replace(told, contact="anon")).forwards
    for _ in range(2):
        show.take(onward)
        assert show.contact.history["bought"].n == 3
        assert (set(show.contact.segments), show.contact.partial) == ({"often"}, {})
