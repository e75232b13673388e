"""What needs somebody's approval: asked before quiet hours and caps, answered by a fact, judged then."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from gatekit import A_DAY, DAY, EMAIL_SMS, HOUR, NIGHT, Gated, gated, gates, ruleset, send
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.decide import Plan, limits, step
from overture.model import Contact, Fact, Step
from overture.rules import link

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp() * 1000)


NOON, NIGHTFALL = at("2026-03-20T12:00"), at("2026-03-22T23:00")


class Desk(Gated):
    """A contact, and somebody who agrees or does not."""

    def answer(self, id: str, at: int, agreed: bool = True) -> Step:
        self.now = at
        said = {"message": id, "agreed": agreed, "by": "desk"}
        return self._take(Fact(f"a{len(self.steps)}", "$approval", self.contact.id, at, at, said))

    @property
    def waiting(self) -> list[tuple[str, str]]:
        return [(w.message.template, w.reason) for w in self.contact.waiting]

    def shown(self) -> dict[str, tuple[str, str]]:
        """What the records say last: template → state and reason."""
        records = [record for step in self.steps for record in step.records]
        return {r.message.template: (r.state, r.reason.partition(":")[0]) for r in records}


def desk(start: int = NOON, sends: dict[str, Any] | None = None, **sending: Any) -> Desk:
    return Desk(gated(sends or {"a": send("a", approval=True)}, **sending), start)


def test_it_waits_for_somebody_and_goes_when_somebody_agrees() -> None:
    ada = desk()
    asked = ada.post("a", n=7)
    assert [(e.reason, e.before, e.after) for e in gates(asked)] == [("approval.pending", None, None)]
    assert (ada.sent, ada.contact.due, ada.waiting) == ([], 0, [("a", "approval.pending")])
    assert ada.shown() == {"a": ("held", "approval.pending")}
    ada.until(NOON + 400 * DAY)
    assert ada.sent == []
    id = ada.contact.waiting[0].message.id
    agreed = ada.answer(id, ada.now + 1)
    assert [(e.kind, e.key, e.after) for e in agreed.trace.effects] == [("approval", id, "desk"), ("gate", id, "email")]
    assert [(m.id, m.context["fact"]["n"]) for m in ada.sent] == [(id, 7)]
    assert ada.contact.waiting == []
    again = ada.answer(id, ada.now + 1)
    assert [(e.kind, e.key, e.reason) for e in again.trace.effects] == [("approval", id, "approval.not_awaited")]
    assert len(ada.sent) == 1


def test_where_no_ruleset_says_anything_to_the_gate_it_waits_all_the_same() -> None:
    ada = Desk(
        Plan(link([ruleset({"a": send("a", approval=True, late_ms=HOUR), "b": send("b")})], 1), "reference"), NOON
    )
    ada.post("a")
    ada.post("b")
    assert (ada.waiting, [m.template for m in ada.sent]) == ([("a", "approval.pending")], ["b"])
    assert ada.contact.due == NOON + HOUR + 1
    ada.until(NOON + HOUR)
    assert ada.waiting == [("a", "approval.pending")]
    ada.until(NOON + HOUR + 1)
    assert ada.verdicts() == [("a", "approval.pending"), ("a", "late.expired")]
    assert ada.shown() == {"a": ("dropped", "late.expired")}
    assert (ada.contact.due, len(ada.sent)) == (0, 1)


def test_who_says_no_is_named() -> None:
    ada = desk()
    ada.post("a")
    id = ada.contact.waiting[0].message.id
    no = ada.answer(id, NOON + 1, agreed=False)
    assert [(e.key, e.before, e.reason) for e in gates(no)] == [(id, "desk", "approval.rejected")]
    assert ada.shown() == {"a": ("dropped", "approval.rejected")}
    ada.answer(id, NOON + 2)
    assert (ada.sent, ada.contact.waiting) == ([], [])


def test_quiet_hours_are_those_at_the_time_of_approval() -> None:
    ada = desk(quiet=(NIGHT,))
    ada.post("a")
    id = ada.contact.waiting[0].message.id
    ada.answer(id, NIGHTFALL)
    assert (ada.sent, ada.waiting) == ([], [("a", "quiet.held")])
    assert ada.shown() == {"a": ("held", "quiet.held")}
    assert [e.reason for e in ada.answer(id, NIGHTFALL + HOUR, agreed=False).trace.effects] == ["approval.not_awaited"]
    ada.until(at("2026-03-23T07:59"))
    assert ada.sent == []
    ada.until(at("2026-03-23T08:00"))
    assert [m.id for m in ada.sent] == [id]


def test_what_comes_at_night_asks_for_approval_then_and_not_in_the_morning() -> None:
    ada = desk(NIGHTFALL, quiet=(NIGHT,))
    ada.post("a")
    assert ada.waiting == [("a", "approval.pending")]


@pytest.mark.parametrize("when", [NIGHTFALL, NOON + HOUR])
def test_at_once_or_never_counts_from_the_approval(when: int) -> None:
    ada = desk(NIGHTFALL - 30 * HOUR, {"a": send("a", approval=True, expires=True)}, quiet=(NIGHT,))
    ada.post("a")
    ada.answer(ada.contact.waiting[0].message.id, when)
    assert ada.shown().get("a") == (("dropped", "quiet.expired") if when == NIGHTFALL else ("held", "approval.pending"))
    assert len(ada.sent) == (when != NIGHTFALL)


def test_it_takes_its_slot_when_somebody_agrees() -> None:
    ada = desk(sends={"a": send("a", approval=True), "b": send("b")}, caps=(A_DAY,))
    ada.post("a")
    ada.post("b", HOUR)
    assert [m.template for m in ada.sent] == ["b"]
    ada.answer(ada.contact.waiting[0].message.id, ada.now + HOUR)
    assert ada.waiting == [("a", "cap.held")]
    ada.until(at("2026-03-21T00:00"))
    assert [m.template for m in ada.sent] == ["b", "a"]


def test_a_deploy_asks_nobody_twice_and_lets_nothing_go_unasked() -> None:
    ada = desk(quiet=(NIGHT,))
    ada.post("a")
    ada.plan = Plan(link([ruleset({"b": send("b")}, "other")], 2), "reference")
    ada.post("b")
    assert (ada.waiting, [m.template for m in ada.sent]) == ([("a", "approval.pending")], ["b"])
    assert ada.verdicts() == [("a", "approval.pending")]
    ada.answer(ada.contact.waiting[0].message.id, ada.now + 1)
    assert [m.template for m in ada.sent] == ["b", "a"]


def test_its_channel_is_chosen_when_somebody_agrees() -> None:
    ada = desk(sends={"a": send("a", channel="", approval=True)}, channels=EMAIL_SMS)
    ada.post("a")
    for _ in range(2):
        ada.post("message.opened", channel="sms")
    ada.answer(ada.contact.waiting[0].message.id, ada.now + 1)
    assert [m.channel for m in ada.sent] == ["sms"]


def test_a_desk_that_nobody_attends_takes_no_room_from_what_waits_for_the_morning() -> None:
    sends = {"a": send("a", approval=True, priority=9), "b": send("b")}
    ada = desk(NIGHTFALL, sends, quiet=(NIGHT,))
    ada.post("b")
    for _ in range(limits.KEPT_MESSAGES + 2):
        ada.post("a", 1000)
    assert ada.waiting.count(("a", "approval.pending")) == limits.KEPT_MESSAGES
    assert ada.waiting.count(("b", "quiet.held")) == 1
    full = [e for step in ada.steps for e in gates(step) if e.reason == "gate.full"]
    assert len(full) == 2
    # The newest of equals, and each is told and shown as dropped.
    dropped = [r.message.id for step in ada.steps for r in step.records if r.state == "dropped"]
    assert dropped == [e.key for e in full] == [s.trace.firings[0].effects[0].key for s in ada.steps[-2:]]


def test_it_goes_along_when_the_contact_becomes_known() -> None:
    ghost, ada = Desk(gated({"a": send("a", approval=True)}), NOON, contact="anonymous_id:x"), desk()
    ghost.post("a")
    ada.post("identify", name="Ada")
    id = ghost.contact.waiting[0].message.id
    left = ghost.take(Fact("l", "$link", ghost.contact.id, NOON + 1, NOON + 1, {"into": "ada"}))
    assert [(r.message.id, r.state) for r in left.records] == [(id, "")]
    came = ada.take(left.forwards[0])
    assert [(r.message.id, r.message.contact, r.state) for r in came.records] == [(id, "ada", "held")]
    onward = ghost.answer(id, NOON + 2).forwards
    assert [fact.contact for fact in onward] == ["ada"]
    ada._take(onward[0])
    assert [(m.id, m.contact) for m in ada.sent] == [(id, "ada")]


def test_an_answer_brings_no_contact_into_being() -> None:
    nobody = Fact("x", "$approval", "nobody", NOON, NOON, {"message": "m", "agreed": True, "by": "desk"})
    outcome = step(Contact("nobody"), nobody, desk().plan, NOON)
    assert (outcome.kept, outcome.messages, outcome.contact.seq) == (False, [], 0)


def test_what_an_earlier_state_let_wait_for_the_morning_is_still_asked_about() -> None:
    ada = desk(NIGHTFALL, {"a": send("a")}, quiet=(NIGHT,))
    ada.post("a")
    (waits,) = ada.contact.waiting
    waits.message = msgspec.structs.replace(waits.message, approval=True)
    ada.until(at("2026-03-23T08:00"))
    assert (ada.sent, ada.waiting) == ([], [("a", "approval.pending")])


COMES = st.lists(
    st.tuples(st.sampled_from(["ask", "late", "once", "plain", "yes", "no", "look"]), st.integers(0, 20 * 60)),
    min_size=1,
    max_size=30,
)
SENDS = {
    "ask": send("ask", approval=True),
    "late": send("late", approval=True, late_ms=10 * HOUR, priority=2),
    "once": send("once", approval=True, expires=True),
    "plain": send("plain"),
}


@settings(max_examples=80)
@given(COMES)
def test_nothing_goes_unasked_or_at_night_and_the_records_agree_with_what_waits(comes: list[tuple[str, int]]) -> None:
    ada = desk(sends=SENDS, quiet=(NIGHT,), caps=(A_DAY,))
    agreed: set[str] = set()
    for what, minutes in comes:
        then = ada.now + minutes * 60_000
        if what in ("yes", "no"):
            asked = [w.message.id for w in ada.contact.waiting if w.reason == "approval.pending"]
            id = asked[0] if asked else "none"
            agreed |= {id} if what == "yes" else set()
            ada.answer(id, then, agreed=what == "yes")
        elif what == "look":
            ada.until(then)
        else:
            ada.post(what, minutes * 60_000)
        state = {r.message.id: r.state for step in ada.steps for r in step.records}
        went = {m.id for m in ada.sent}
        waits = {w.message.id for w in ada.contact.waiting if w.message.approval}
        assert {id for id, each in state.items() if each == "held"} - went == waits
        assert {m.id for m in ada.sent if m.approval} <= agreed
        assert went.isdisjoint(id for id, each in state.items() if each == "dropped")
    for trace in (t for s in ada.steps for t in (*s.ticks, s.trace)):
        clock = datetime.fromtimestamp(trace.fact.instant // 1000, BERLIN)
        if any(e.kind == "gate" and not e.reason for e in trace.effects):
            assert 8 <= clock.hour < 21
    assert len({m.id for m in ada.sent}) == len(ada.sent)
