"""Sessions: visits end by the clock alone, a late fact corrects one, and nothing is counted twice."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from decidekit import Show, encode, plan
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide.limits import EVENTS, LATE, PATHS, SESSIONS
from overture.model import Contact, Fact, Firing

T = 1_800_000_000_000
SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
IDLE = 30 * MINUTE

DOCUMENT = """\
requires:
  channels: [email]
facts:
  page_viewed: {path: string}
  page_left: {}
  scored: {n: number}
scores:
  fit: {}
  fading: {decay: {half_life: 1d}}
  ends: {}
sessions: {idle: 30m}
rules:
  pricing:
    when: fact.type == "session.ended" and fact.longest == "/pricing"
    then:
      - score: {name: fit, add: 4}
      - score: {name: fading, add: 4}
      - send: {channel: email, template: t, purpose: transactional}
      - issue: {kind: voucher}
  careers:
    when: fact.type == "session.ended" and fact.longest == "/careers"
    once_per: 1d
    then:
      - assert: {type: scored, properties: {n: -1}}
  scored:
    when: fact.type == "scored"
    then:
      - score: {name: fit, add: = fact.n}
  ends:
    when: fact.type == "session.ended"
    then:
      - score: {name: ends, add: 1}
templates:
  t: {subject: s, text: t}
"""
PLAN = plan(DOCUMENT)
POINTS = {"/pricing": 4, "/about": 0}  # without /careers: of these only one a day counts


def viewed(n: int, at: int, path: str, accepted: int | None = None, contact: str = "ada") -> Fact:
    return Fact(f"f{n}", "page_viewed", contact, at, at if accepted is None else accepted, {"path": path})


def left(n: int, at: int, accepted: int | None = None) -> Fact:
    return Fact(f"f{n}", "page_left", "ada", at, at if accepted is None else accepted)


def tick(at: int) -> Fact:
    return Fact(f"tick:{at}", "$tick", "ada", at, at)


def done(firings: list[Firing]) -> list[tuple[Any, ...]]:
    return [(f.rule, e.kind, e.name, e.reason or e.after) for f in firings for e in f.effects]


def test_a_visit_ends_when_the_pause_is_over_with_no_fact() -> None:
    show = Show(PLAN)
    show.take(viewed(1, T, "/pricing"))
    show.take(viewed(2, T + 90 * SECOND, "/careers"))
    show.take(left(3, T + 120 * SECOND))
    assert show.contact.due == T + 120 * SECOND + IDLE
    assert not show.take(tick(show.contact.due - 1)).kept
    outcome = show.take(tick(show.contact.due))
    (moment,) = outcome.moments
    assert moment.fact.occurred_at == T + 120 * SECOND + IDLE
    assert done(moment.firings)[:2] == [("a/ends", "score", "ends", 1), ("a/pricing", "score", "fit", 4)]
    assert (outcome.contact.scores["fit"], outcome.contact.due, len(outcome.messages)) == (4, 0, 1)


def told(*seen: tuple[int, str]) -> dict[str, Any]:
    """The properties of the end of a visit with these pages; an empty one is a fact that is no page view."""
    text = """\
facts:
  page_viewed: {path: string}
traits:
  dwell: object?
  longest: string?
  pages: number?
  duration: number?
  started_at: datetime?
  session: string?
sessions: {idle: 30m}
rules:
  keep:
    when: fact.type == "session.ended"
    then:
      - set: {dwell: = fact.dwell, longest: = fact.longest, pages: = fact.pages, duration: = fact.duration}
      - set: {started_at: = fact.started_at, session: = fact.session}
"""
    show = Show(plan(text))
    for n, (at, path) in enumerate(seen):
        show.take(viewed(n, T + at * SECOND, path) if path else left(n, T + at * SECOND))
    return show.take(tick(show.contact.due)).contact.traits


def test_what_the_end_of_a_visit_tells() -> None:
    assert told((0, ""), (10, "/a"), (30, "/b"), (31, ""), (130, "/a"), (140, "")) == {
        "session": "f0",
        "started_at": T,
        "duration": 140,
        "pages": 3,
        "dwell": {"/a": 30, "/b": 100},
        "longest": "/b",
    }
    assert told((0, "/only"))["dwell"] == {"/only": 0}
    assert told((0, "/first"), (5, "/second"), (10, ""))["longest"] == "/first"  # of equals the one seen first
    assert told((0, "/x"), (1, "/" + "y" * 300), (100, ""))["dwell"] == {"/x": 100}  # too long to be a page
    assert told((0, "")) == {"session": "f0", "started_at": T, "duration": 0, "pages": 0, "dwell": {}}


def test_a_long_visit_is_bounded_and_its_sums_are_right() -> None:
    seen = [(n, f"/p{n % 7}") for n in range(EVENTS * 5)]
    assert told(*seen, (EVENTS * 5, ""))["dwell"] == {f"/p{k}": len(seen[k::7]) for k in range(7)}
    show = Show(PLAN)
    for n in range(EVENTS * 5):
        show.take(viewed(n, T + n * SECOND, f"/p{n}"))
    (session,) = show.contact.sessions
    assert (len(session.events), len(session.spent), session.pages) == (EVENTS, PATHS, EVENTS * 5)


# --- late facts ----------------------------------------------------------------------------------------------------


def ended(path: str = "/careers") -> Show:
    """A visit of five minutes on one page, over since half an hour."""
    show = Show(PLAN)
    show.take(viewed(1, T, path))
    show.take(left(2, T + 5 * MINUTE))
    show.take(Fact("other", "page_left", "ada", T + 2 * HOUR, T + 2 * HOUR))
    return show


def test_a_late_fact_corrects_it_once_with_the_reason() -> None:
    show = ended()
    assert show.contact.scores == {"fit": -1, "ends": 1}
    late = show.take(viewed(3, T + MINUTE, "/pricing", T + 2 * HOUR))
    assert sorted((e.name, e.before, e.after, e.reason) for e in late.trace.effects) == [
        ("ends", 1, 0, "corrected"),
        ("fit", -1, 0, "corrected"),
    ]
    assert ("a/pricing", "score", "fit", 4) in done(late.trace.firings)
    assert (late.contact.scores["fit"], late.contact.scores["ends"]) == (4, 1)
    # A second one that changes nothing to tell corrects nothing.
    again = show.take(left(4, T + 2 * MINUTE, T + 2 * HOUR))
    assert (again.trace.effects, again.trace.firings) == ([], [])


def test_a_correction_asks_no_rule_twice_for_what_cannot_be_taken_back() -> None:
    """Points are as if the visit had been seen whole; messages and codes that are out are not sent and issued again."""
    show = ended("/pricing")
    assert (len(show.contact.issued), show.contact.scores["fit"]) == (1, 4)
    late = show.take(viewed(3, T + 4 * MINUTE, "/about", T + 2 * HOUR))
    assert late.messages == []
    pricing = [(kind, name, what) for rule, kind, name, what in done(late.trace.firings) if rule == "a/pricing"]
    assert pricing[0] == ("score", "fit", 4)
    assert pricing[2:] == [("send", "t", "corrected"), ("issue", "voucher", "corrected")]
    assert (len(late.contact.issued), late.contact.scores["fit"], late.contact.scores["ends"]) == (1, 4, 1)


def test_a_rule_held_back_by_once_per_is_not_held_back_by_its_own_correction() -> None:
    show = ended("/careers")
    late = show.take(left(3, T + 6 * MINUTE, T + 2 * HOUR))
    assert (late.contact.scores["fit"], late.contact.scores["ends"]) == (-1, 1)
    assert all(kind != "once_per" for _, kind, *_ in done(late.trace.firings))


def test_a_visit_that_was_not_over_goes_on() -> None:
    show = ended()
    show.take(viewed(3, T + 30 * MINUTE, "/pricing", T + 2 * HOUR))
    show.take(viewed(4, T + HOUR - MINUTE, "/pricing", T + 2 * HOUR))
    show.take(viewed(5, T + 88 * MINUTE, "/pricing", T + 2 * HOUR))
    assert (len(show.contact.sessions), show.contact.scores["fit"]) == (2, 4)
    show.take(viewed(6, T + 100 * MINUTE, "/pricing", T + 2 * HOUR))
    # The chain of facts reaches the visit under way: there was one visit all along.
    (session,) = show.contact.sessions
    assert (session.id, session.ended) == ("f1", False)
    assert (show.contact.scores["fit"], show.contact.scores["ends"]) == (0, 0)
    assert show.contact.due == T + 2 * HOUR + IDLE
    outcome = show.take(tick(show.contact.due))
    assert (outcome.contact.scores["fit"], outcome.contact.scores["ends"]) == (4, 1)


def test_two_visits_that_were_one_are_scored_as_one() -> None:
    show = Show(PLAN)
    show.take(viewed(1, T, "/pricing"))
    show.take(viewed(2, T + 40 * MINUTE, "/pricing"))
    show.take(tick(T + 2 * HOUR))
    assert (show.contact.scores["fit"], show.contact.scores["ends"]) == (8, 2)
    late = show.take(left(3, T + 20 * MINUTE, T + 2 * HOUR))
    assert (late.contact.scores["fit"], late.contact.scores["ends"]) == (4, 1)
    assert late.messages == []


def test_points_that_have_decayed_are_taken_back_as_they_are_now() -> None:
    show = Show(PLAN)
    show.take(viewed(1, T, "/pricing"))
    show.take(tick(T + IDLE))
    assert show.contact.scores["fading"] == 4
    # A day later half of it is there, and the correction leaves exactly what the right visit would have brought.
    late = show.take(viewed(2, T + MINUTE, "/about", T + IDLE + 24 * HOUR))
    fading = {e.before for e in late.trace.effects if e.name == "fading"}
    assert fading == {2}
    assert late.contact.scores["fading"] == pytest.approx(2, abs=0.01)


def test_what_comes_too_late_changes_nothing() -> None:
    show = ended()
    later = T + LATE + HOUR
    show.take(left(3, later))
    before = encode(show.contact.sessions)
    late = show.take(viewed(4, T + MINUTE, "/pricing", later + 5))
    assert (encode(late.contact.sessions), late.trace.effects, late.trace.firings) == (before, [], [])
    show = Show(PLAN)
    for n in range(SESSIONS + 3):
        show.take(viewed(n, T + n * HOUR, "/about"))
    assert len(show.contact.sessions) == SESSIONS
    late = show.take(viewed(90, T + 1, "/pricing", T + 11 * HOUR))
    assert late.contact.scores.get("fit", 0) == 0


def test_what_overture_derives_and_sends_is_no_visit() -> None:
    show = Show(PLAN)
    show.take(Fact("m", "message.sent", "ada", T, T, {"channel": "email"}))
    assert (show.contact.sessions, show.contact.due) == ([], 0)
    only = Show(plan(DOCUMENT.replace("{idle: 30m}", "{idle: 30m, types: [page_viewed]}")))
    only.take(left(1, T))
    assert only.contact.sessions == []


def test_a_deploy_without_sessions_forgets_them_and_a_shorter_pause_ends_them() -> None:
    show = Show(PLAN)
    show.take(viewed(1, T, "/pricing"))
    show.plan = plan(DOCUMENT.replace("idle: 30m", "idle: 10m"), version=2)
    show.take(Fact("m", "message.sent", "ada", T + 20 * MINUTE, T + 20 * MINUTE, {"channel": "email"}))
    outcome = show.take(tick(T + 20 * MINUTE))
    assert outcome.contact.scores["fit"] == 4
    show.take(viewed(2, T + HOUR, "/pricing"))
    show.plan = plan("facts: {page_viewed: {path: string}}\n", version=3)
    outcome = show.take(Fact("f9", "other", "ada", T + HOUR + 1, T + HOUR + 1))
    assert (outcome.contact.sessions, outcome.contact.due) == ([], 0)


# --- against a model -----------------------------------------------------------------------------------------------

Seen = tuple[int, str]  # minute it occurred; page
SEEN = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from(["/pricing", "/about"])), max_size=12, unique_by=lambda s: s[0]
)


def visits(seen: list[Seen]) -> list[list[Seen]]:
    found: list[list[Seen]] = []
    for one in sorted(seen):
        if found and one[0] - found[-1][-1][0] < 30:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def points(seen: list[Seen]) -> int:
    total = 0
    for visit in visits(seen):
        spent: dict[str, int] = {}
        for (at, page), (until, _) in pairwise([*visit, visit[-1]]):
            spent[page] = spent.get(page, 0) + until - at
        total += POINTS[max(spent, key=lambda page: spent[page])]
    return total


def finished(show: Show) -> Contact:
    end = max(show.contact.clock, T + 300 * MINUTE)
    if show.contact.due:
        show.take(tick(end))
    return show.contact


@settings(max_examples=200)
@given(SEEN)
def test_in_whatever_order_facts_come_the_points_are_those_of_the_visits(seen: list[Seen]) -> None:
    """Hypothesis draws them in no order: some are late, for a visit under way or for one that has ended."""
    show, clock = Show(PLAN), T
    for n, (minute, page) in enumerate(seen):
        clock = max(clock, T + minute * MINUTE)
        show.take(viewed(n, T + minute * MINUTE, page, clock))
    contact = finished(show)
    if len(visits(seen)) <= SESSIONS:
        assert contact.scores.get("fit", 0) == points(seen)
        assert contact.scores.get("ends", 0) == len(visits(seen)) == len(contact.sessions)
        assert all(s.ended for s in contact.sessions)


@settings(max_examples=150)
@given(SEEN, SEEN)
def test_two_contacts_that_become_one_had_the_visits_of_one(mine: list[Seen], theirs: list[Seen]) -> None:
    taken = {minute for minute, _ in mine}
    theirs = [s for s in theirs if s[0] not in taken]
    known, visitor = Show(PLAN), Show(PLAN, "anonymous_id:x")
    for show, seen, first in ((known, mine, 0), (visitor, theirs, 100)):
        for n, (minute, page) in enumerate(sorted(seen), first):
            show.take(viewed(n, T + minute * MINUTE, page, contact=show.contact.id))
    at = T + 210 * MINUTE
    (merge,) = visitor.take(Fact("f$", "$link", "anonymous_id:x", at, at, {"into": "ada"})).forwards
    known.take(merge)
    contact = finished(known)
    both = mine + theirs
    if len(visits(both)) <= SESSIONS and len(visits(mine)) + len(visits(theirs)) <= SESSIONS:
        assert contact.scores.get("fit", 0) == points(both)
        assert contact.scores.get("ends", 0) == len(visits(both))
