"""The send gate in the step: holdout, channel, quiet hours, caps, what waits."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from decidekit import encode
from gatekit import A_DAY, BOTH, DAY, EMAIL_SMS, HOUR, NIGHT, Gated, gated, gates, ruleset, send

from overture.decide import Plan, limits, step
from overture.decide.gatekeeping import held_out
from overture.model import Contact, Fact
from overture.model.reasons import sentence
from overture.rules import link
from overture.rules.sending import Cap, Quiet

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> int:
    """An instant as clocks in Berlin show it."""
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp() * 1000)


NOON = at("2026-03-20T12:00")


# --- channel -------------------------------------------------------------------------------------------------------


def chosen(action: Any, habits: dict[str, int] | None = None, **contact: Any) -> str:
    ada = Gated(gated({"a": action}, channels=EMAIL_SMS), NOON)
    ada.contact = msgspec.structs.replace(ada.contact, habits=habits or {}, **contact)
    (verdict,) = gates(ada.post("a"))
    assert [m.channel for m in ada.sent] == ([verdict.after] if not verdict.reason else [])
    return verdict.reason or str(verdict.after)


def test_what_needs_an_image_takes_a_channel_that_carries_one():
    assert chosen(send("a", channel="", needs=frozenset({"image"})), {"sms": 9}) == "email"
    assert chosen(send("a", channel="sms", needs=frozenset({"image"}))) == "channel.needs"


def test_otherwise_the_channel_that_the_contact_engages_with_most_within_consent():
    any_channel = send("a", channel="")
    assert chosen(any_channel) == "email"  # the first of those that are equal
    assert chosen(any_channel, {"sms": 2, "email": 1}) == "sms"
    assert chosen(any_channel, {"sms": 2}, consent={"email": BOTH["email"]}) == "email"
    assert chosen(any_channel, consent={"sms": {"lifecycle": "denied"}}) == "channel.no_consent"
    assert chosen(any_channel, {"sms": 2}, traits={"email": "ada@example.com"}) == "email"
    assert chosen(any_channel, {"sms": 2}, suppressed={"sms:+4930123": "bounce"}) == "email"
    assert chosen(any_channel, traits={}) == "channel.no_address"
    assert chosen(send("a", channel="", purpose="transactional"), consent={}) == "email"


def test_habits_are_counted_from_what_was_opened_and_clicked():
    ada = Gated(gated({"a": send("a", channel="")}, channels=EMAIL_SMS), NOON)
    ada.post("message.opened", channel="sms")
    effects = ada.post("message.clicked", channel="sms").trace.effects
    assert [(e.kind, e.name, e.before, e.after) for e in effects] == [("habit", "sms", 1, 2)]
    for n in range(limits.CHANNELS + 5):
        ada.post("message.opened", channel=f"c{n}")
    assert ada.contact.habits["sms"] == 2
    assert len(ada.contact.habits) == limits.CHANNELS
    ada.post("a")
    assert [m.channel for m in ada.sent] == ["sms"]


# --- quiet hours ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("came", "goes"),
    [
        ("2026-03-20T20:59:59", "2026-03-20T20:59:59"),
        ("2026-03-20T21:00", "2026-03-21T08:00"),
        ("2026-03-21T07:59:59", "2026-03-21T08:00"),
        ("2026-03-21T08:00", "2026-03-21T08:00"),
        ("2026-03-28T22:00", "2026-03-29T08:00"),  # clocks are put forward in that night
        ("2026-10-24T22:00", "2026-10-25T08:00"),  # and back
    ],
)
def test_what_comes_in_quiet_hours_goes_at_their_end(came: str, goes: str):
    ada = Gated(gated({"a": send("a")}, quiet=(NIGHT,)), at(came))
    ada.post("a", n=7)
    if came != goes:
        assert (ada.sent, ada.contact.due) == ([], at(goes))
        (held,) = gates(ada.steps[-1])
        assert (held.reason, held.before) == ("quiet.held", "21:00–08:00")
        assert sentence(held.reason, before=held.before, after=held.after).count(f"{goes}:00+0") == 1
        ada.until(at(goes) - 1)
        assert ada.sent == []
        ada.until(at(goes))
    assert [(m.template, m.context["fact"]["n"]) for m in ada.sent] == [("a", 7)]
    assert (ada.contact.waiting, ada.contact.due) == ([], 0)


def test_the_end_that_clocks_skip_or_show_twice():
    skipped = gated({"a": send("a")}, quiet=(Quiet(60, 150, frozenset({"lifecycle"})),))  # 01:00–02:30
    ada = Gated(skipped, at("2026-03-29T01:30"))
    ada.post("a")
    assert ada.contact.due == at("2026-03-29T03:00")
    ada = Gated(skipped, at("2026-10-25T01:30"))
    ada.post("a")
    assert ada.contact.due == at("2026-10-25T02:30")  # the first of two
    ada.post("a", 65 * 60_000)  # 02:35
    assert [m.template for m in ada.sent] == ["a", "a"]
    ada.post("a", 35 * 60_000)  # 02:10 again
    assert ada.contact.due == int(datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=BERLIN).timestamp() * 1000)


def test_others_purposes_and_addresses_are_not_the_contacts_night():
    plan = gated(
        {
            "a": send("a", purpose="transactional"),
            "b": send("b", to="sales@example.com"),
            "c": send("c", purpose="news"),
        },
        quiet=(Quiet(21 * 60, 8 * 60, frozenset()),),
    )
    ada = Gated(plan, at("2026-03-20T23:00"))
    for type in "abc":
        ada.post(type)
    assert ada.verdicts() == [("c", "quiet.held")]
    assert [m.template for m in ada.sent] == ["a", "b"]


def test_the_zone_is_the_contacts_at_the_end():
    ada = Gated(gated({"a": send("a")}, quiet=(NIGHT,)), at("2026-03-20T23:00"))
    ada.post("a")
    ada.post("identify", HOUR, timezone="America/New_York")
    ada.until(at("2026-03-21T08:00"))  # 03:00 there
    assert ada.sent == []
    assert ada.contact.due == at("2026-03-21T13:00")
    ada.until(at("2026-03-21T13:00"))
    assert ada.sent[0].context["contact"]["timezone"] == "America/New_York"  # as it is when the message goes


def test_quiet_at_all_hours_sends_nothing():
    always = (Quiet(0, 720, frozenset()), Quiet(720, 1440, frozenset()))
    ada = Gated(gated({"a": send("a")}, quiet=always), NOON)
    assert [e.reason for e in gates(ada.post("a"))] == ["quiet.expired"]


# --- caps ----------------------------------------------------------------------------------------------------------


def three() -> Plan:
    sends = {
        "cart": send("cart", priority=30),
        "birthday": send("birthday", priority=20, late_ms=2 * DAY),
        "miss_you": send("miss_you", priority=10, late_ms=12 * HOUR),
        "now_or_never": send("now_or_never", expires=True),
    }
    return gated(sends, quiet=(NIGHT,), caps=(A_DAY,))


def test_three_collide_under_a_cap_of_one_a_day():
    ada = Gated(three(), at("2026-03-21T00:00"))
    ada.post("birthday")
    ada.post("miss_you", HOUR)
    ada.post("cart", 5 * HOUR)
    outcome = ada.until(at("2026-03-21T08:00"))
    assert [m.template for m in outcome.messages] == ["cart"]
    effects = {e.name: e for e in gates(outcome)}
    assert effects["birthday"].reason == "cap.held"
    assert effects["birthday"].before == "1 within today, taken by gated/cart"
    assert effects["birthday"].after == "2026-03-22T08:00:00+01:00"
    assert effects["miss_you"].reason == "late.expired"
    assert [m.template for m in ada.until(at("2026-03-22T08:00")).messages] == ["birthday"]
    assert (ada.contact.waiting, ada.contact.due) == ([], 0)


def test_what_must_go_at_once_does_not_wait():
    ada = Gated(three(), NOON)
    ada.post("cart")
    assert [(e.reason, e.before) for e in gates(ada.post("now_or_never"))] == [
        ("cap.expired", "1 within today, taken by gated/cart")
    ]
    ada.until(at("2026-03-20T22:00"))
    assert [e.reason for e in gates(ada.post("now_or_never"))] == ["quiet.expired"]
    assert ada.contact.waiting == []


def test_a_cap_over_a_span_frees_when_its_oldest_leaves():
    cap = Cap(2, frozenset({"lifecycle"}), ms=3 * HOUR)
    ada = Gated(gated({"a": send("a")}, caps=(cap,)), NOON)
    ada.post("a")
    ada.post("a", HOUR)
    ada.post("a", HOUR)
    assert (len(ada.sent), ada.contact.due) == (2, NOON + 3 * HOUR)
    ada.until(NOON + 3 * HOUR)
    assert len(ada.sent) == 3
    assert len(ada.contact.sent) == 2


def test_what_could_not_go_takes_no_slot_and_delivery_says_why():
    ada = Gated(gated({"a": send("a"), "s": send("s", channel="sms")}, caps=(A_DAY,)), NOON)
    ada.contact.consent = {"email": BOTH["email"]}
    ada.post("s")
    ada.contact.consent = BOTH
    ada.contact.suppressed = {"sms:+4930123": "complaint"}
    ada.post("s")
    ada.post("a")
    assert ada.verdicts() == [("s", "sms"), ("s", "sms"), ("a", "email")]
    assert [s.rule for s in ada.contact.sent] == ["gated/a"]


def test_too_many_that_wait():
    sends = {f"p{n}": send(f"p{n}", priority=n) for n in range(limits.KEPT_MESSAGES + 2)}
    ada = Gated(gated(sends, quiet=(NIGHT,)), at("2026-03-20T23:00"))
    for type in sends:
        ada.post(type)
    assert len(ada.contact.waiting) == limits.KEPT_MESSAGES
    assert [name for name, reason in ada.verdicts() if reason == "gate.full"] == ["p0", "p1"]
    ada.until(at("2026-03-21T08:00"))
    assert [m.template for m in ada.sent] == [f"p{n}" for n in reversed(range(2, limits.KEPT_MESSAGES + 2))]


def test_what_there_is_no_room_for_does_not_wait():
    ada = Gated(gated({"a": send("a")}, quiet=(NIGHT,)), at("2026-03-20T23:00"))
    weights: list[int] = []
    for n in range(6):
        ada.post("a", 1000, n=n, blob="x" * 60_000)
        weights.append(ada.contact.weight)
    assert max(weights) <= limits.STATE_BYTES
    assert [reason for _, reason in ada.verdicts()] == ["quiet.held"] * 4 + ["contact.full"] * 2
    ada.until(at("2026-03-21T08:00"))
    assert len(ada.sent) == 4
    assert ada.contact.weight < 2_000


# --- holdout, other programs, merge --------------------------------------------------------------------------------


def test_the_holdout_gets_nothing_but_what_it_asked_for():
    sends = {"a": send("a"), "r": send("r", purpose="transactional"), "w": send("w", to="sales@example.com")}
    plan = Plan(link([ruleset(sends, holdout=30)], 1), "reference")
    reasons: dict[str, list[str]] = {}
    for n in range(200):
        someone = Gated(plan, NOON, contact=f"c{n}")
        for type in sends:
            someone.post(type)
        for template, reason in someone.verdicts():
            reasons.setdefault(template, []).append(reason)
        assert (len(someone.sent) == 2) == held_out(Contact(f"c{n}"), "gated", 30)
    assert 40 <= len(reasons["a"]) <= 80
    assert set(reasons["a"]) == {"holdout"}
    assert set(reasons) == {"a"}  # about the others nothing was asked


def test_where_no_ruleset_says_anything_nothing_is_asked():
    plan = Plan(link([ruleset({"a": send("a")})], 1), "reference")
    ada = Gated(plan, at("2026-03-20T23:00"))
    assert gates(ada.post("a")) == []
    assert [m.template for m in ada.sent] == ["a"]


def test_what_waits_goes_when_nothing_keeps_it_any_more():
    ada = Gated(gated({"a": send("a")}, quiet=(NIGHT,)), at("2026-03-20T23:00"))
    ada.post("a")
    ada.plan = Plan(link([ruleset({"a": send("a")})], 2), "reference")
    ada.post("identify", HOUR)
    assert [m.template for m in ada.sent] == ["a"]
    assert (ada.contact.waiting, ada.contact.due) == ([], 0)


def test_a_deploy_looks_again_at_what_waits():
    ada = Gated(gated({"a": send("a")}, quiet=(NIGHT,)), at("2026-03-20T23:00"))
    ada.post("a")
    ada.plan = gated({"a": send("a")}, quiet=(Quiet(21 * 60, 9 * 60, frozenset({"lifecycle"})),), version=2)
    (verdict,) = gates(ada.post("identify", HOUR))
    assert (verdict.reason, ada.contact.due) == ("quiet.held", at("2026-03-21T09:00"))
    ada.plan = gated({"a": send("a")}, quiet=(Quiet(21 * 60, 9 * 60, frozenset({"lifecycle"})),), version=3)
    assert gates(ada.post("identify", HOUR)) == []  # nothing new to tell


def test_what_was_decided_live_goes_though_history_comes_in():
    ada = Gated(gated({"a": send("a")}, quiet=(NIGHT,)), at("2026-03-20T23:00"))
    ada.post("a")
    later = at("2026-03-21T10:00")
    outcome = ada.take(Fact("old", "identify", "ada", later, later, backfill=True))
    assert [m.template for m in outcome.messages] == ["a"]


def test_a_merge_joins_what_waits_what_was_sent_and_habits():
    plan = gated({"a": send("a"), "b": send("b")}, quiet=(NIGHT,), caps=(A_DAY,))
    weak = Gated(plan, NOON, contact="anonymous_id:x")
    weak.post("a")
    weak.post("message.opened", channel="email")
    weak.until(at("2026-03-20T22:00"))
    weak.post("b")
    strong = Gated(plan, weak.now, contact="ada")
    strong.post("message.opened", channel="email")
    moved = step(weak.contact, Fact("l", "$link", "anonymous_id:x", weak.now, weak.now, {"into": "ada"}), plan, 0)
    assert (moved.contact.waiting, moved.contact.due) == ([], 0)
    strong.take(moved.forwards[0])
    assert (strong.contact.habits, strong.contact.due) == ({"email": 2}, at("2026-03-21T08:00"))
    assert [s.rule for s in strong.contact.sent] == ["gated/a"]
    strong.until(at("2026-03-21T08:00"))
    assert [(m.template, m.contact) for m in strong.sent] == [("b", "ada")]


def test_what_waits_leaves_the_states_before_as_they_were():
    ada = Gated(gated({"a": send("a")}, quiet=(NIGHT,)), at("2026-03-20T23:00"))
    ada.post("a", n=1)
    before = ada.contact
    kept = encode(before)
    ada.until(at("2026-03-21T08:00"))
    assert "contact" in ada.sent[0].context
    assert encode(before) == kept


def test_where_two_contacts_become_one_the_least_important_of_what_waits_for_both_is_given_up() -> None:
    plan = gated({"a": send("low"), "b": send("high", priority=9)}, quiet=(NIGHT,))
    night = at("2026-03-20T23:00")
    known, visitor = Gated(plan, night), Gated(plan, night, contact="anonymous_id:x")
    for _ in range(limits.KEPT_MESSAGES):
        known.post("a")
    for _ in range(3):
        visitor.post("b")
    (merge,) = visitor.take(Fact("link", "$link", visitor.contact.id, night, night, {"into": "ada"})).forwards
    known.take(merge)
    assert [each.priority for each in known.contact.waiting] == [0] * (limits.KEPT_MESSAGES - 3) + [9] * 3
    assert known.verdicts()[-3:] == [("low", "gate.full")] * 3
