"""The contact's clock: which facts move it on, and that nothing else tells the time."""

from __future__ import annotations

import msgspec
from decidekit import Show, encode, made, plan, shipped

from overture.decide import step
from overture.model import Contact, Fact, Step

T = 1_800_000_000_000
HOUR = 3_600_000
EVERYTHING = """\
requires:
  channels: [email]
facts:
  seen: {}
scores:
  s: {}
rules:
  seen:
    when: fact.type == "seen"
    then:
      - score: {name: s, add: 1}
      - segment: {enter: some}
      - list: {add: all}
      - issue: {kind: voucher}
      - send: {channel: email, template: t, purpose: transactional}
segments:
  some: {}
lists:
  all: {}
templates:
  t: {subject: s, text: t}
"""


def fact(n: int, accepted: int, occurred: int | None = None, *, backfill: bool = False) -> Fact:
    return Fact(f"f{n}", "seen", "ada", accepted if occurred is None else occurred, accepted, backfill=backfill)


def test_the_instant_is_when_a_fact_was_accepted_and_never_goes_back() -> None:
    show = Show(plan(EVERYTHING))
    assert show.take(fact(1, T)).contact.clock == T
    assert show.take(fact(2, T + 5, T - HOUR)).contact.clock == T + 5  # late, but accepted now
    assert show.take(fact(3, T + 1)).contact.clock == T + 5
    assert show.take(fact(4, T + 9, T + HOUR)).contact.clock == T + 9  # nothing happens in the future


def test_recorded_history_moves_the_clock_to_when_it_happened() -> None:
    show = Show(plan(EVERYTHING))
    assert show.take(fact(1, T, T - 9 * HOUR, backfill=True)).contact.clock == T - 9 * HOUR
    assert show.take(fact(2, T + 1, T - 5 * HOUR, backfill=True)).contact.clock == T - 5 * HOUR
    assert show.take(fact(3, T + 2, T - 7 * HOUR, backfill=True)).contact.clock == T - 5 * HOUR
    assert show.contact.backfilled == T + 2
    assert show.take(fact(4, T + 9)).contact.clock == T + 9
    late = show.take(fact(5, T + 10, T - 7 * HOUR, backfill=True)).contact
    assert (late.clock, late.backfilled) == (T + 9, T + 2)  # it lives by now: history no longer sets its clock


def test_nothing_that_is_decided_depends_on_when_the_worker_gets_to_it() -> None:
    def decided(now: int) -> tuple[bytes, Step]:
        outcome = step(Contact("ada"), fact(1, T), plan(EVERYTHING), now)
        assert outcome.trace.at == now
        outcome.trace.at = 0
        return encode([outcome.contact, outcome.trace, outcome.messages]), outcome

    early, outcome = decided(T)
    late, _ = decided(T + 99 * HOUR)
    assert early == late
    contact = outcome.contact
    assert (contact.created_at, contact.updated_at) == (T, T)
    assert (contact.segments, contact.lists, contact.issued[0].at) == ({"some": T}, {"all": T}, T)
    assert outcome.messages[0].created_at == T


def test_a_tick_when_nothing_is_due_comes_to_nothing() -> None:
    contact = Show(shipped()).fact("page_viewed", path="/sales").contact
    tick = msgspec.structs.replace(made("$tick", 50), id=f"tick:{T}")
    outcome = step(contact, tick, shipped(), T)
    assert (outcome.kept, outcome.contact, outcome.trace.firings, outcome.forwards) == (False, contact, [], [])


def test_linking_hands_the_clock_on() -> None:
    visitor = Show(plan(EVERYTHING), "anonymous_id:x")
    visitor.take(Fact("f1", "seen", "anonymous_id:x", T, T))
    order = Fact("f2", "$link", "anonymous_id:x", T + 5, T + 5, {"into": "ada"})
    (merge,) = visitor.take(order).forwards
    assert visitor.contact.clock == T + 5
    known = Show(plan(EVERYTHING))
    known.take(fact(1, T + 9))
    assert known.take(merge).contact.clock == T + 9
    assert known.contact.scores == {"s": 2}
