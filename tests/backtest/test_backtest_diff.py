"""What a backtest tells: each kind of difference, by contact and in sum."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from backtestkit import DAY, SCORING, START, TIMED, Live, Past, bought, by_side, plan_of, replaced

from overture.model import Fact

CHEAPER = replaced(SCORING, ("fact.total >= 50", "fact.total >= 20"))


@pytest.fixture
def past(store_url: str, tmp_path: Path) -> Past:
    return Past(store_url, tmp_path)


def live(*facts: Fact) -> Live:
    plan = plan_of(SCORING)
    made = Live(lambda *_: plan)
    made.post(*facts)
    return made


def month(past: Past, *more: Fact) -> None:
    """Ada buys on three days, Bob once, Eve looks around."""
    made = live(
        bought("a1", "ada", 30, START),
        bought("b1", "bob", 10, START + DAY),
        bought("a2", "ada", 30, START + 2 * DAY, "mug"),
        Fact("e1", "looked", "eve", START + 2 * DAY, START + 2 * DAY, {"path": "/"}),
        bought("a3", "ada", 60, START + 3 * DAY),
        *more,
    )
    past.record(made, (SCORING,))


def test_the_active_revision_against_itself_is_an_empty_diff(past: Past):
    month(past)
    answer = past.backtest(SCORING)
    assert answer.summary["contacts"] == {"recorded": 3, "changed": 0, "detailed": 0}
    assert answer.contacts == {}
    assert answer.summary["rules"]["scoring/spend"] == by_side(4, 4)
    assert answer.summary["candidate"]["rulesets"] == answer.summary["baseline"]["rulesets"]


def test_another_text_of_the_same_meaning_is_an_empty_diff(past: Past):
    month(past)
    answer = past.backtest("# to be read by people\n" + SCORING, since="2d")
    assert answer.summary["candidate"]["rulesets"] != answer.summary["baseline"]["rulesets"]
    assert answer.summary["contacts"]["changed"] == 0


def test_every_kind_of_difference_of_a_contact(past: Past):
    month(past)
    answer = past.backtest(replaced(CHEAPER, ("add: = fact.total", "add: = fact.total * 2")))
    assert answer.order == ["ada", "bob"]
    ada = answer.contacts["ada"]
    assert ada["scores"] == {"spend": by_side(120, 240)}
    assert ada["segments"] == ada["lists"] == ada["traits"] == {}
    # The segment is entered a fact earlier: the message goes out at another fact, and as often as before.
    assert [(m["side"], m["fact"]) for m in ada["messages"]] == [("candidate", "a2"), ("baseline", "a3")]
    assert ada["messages"][0] == {
        "side": "candidate", "at": "2026-01-03T00:00:00.000Z", "fact": "a2", "rule": "scoring/big.on_enter",
        "template": "scoring/hello", "channel": "email", "reason": "",
    }  # fmt: skip
    assert [(c["side"], c["fact"], c["kind"]) for c in ada["codes"]] == [
        ("candidate", "a1", "voucher"),
        ("candidate", "a2", "voucher"),
    ]
    assert (ada["differences"], ada["omitted"]) == (5, 0)
    assert answer.contacts["bob"]["scores"] == {"spend": by_side(10, 20)}


def test_what_was_agreed_to_is_given_when_somebody_agreed(past: Past):
    asking = replaced(SCORING, ("purpose: marketing}", "purpose: transactional, approval: required}"))
    plan = plan_of(asking)
    made = Live(lambda *_: plan)
    for n, name in enumerate(("ada", "bob", "eve")):
        made.post(Fact(f"q{n}", "asked", name, START, START))
    for name, agreed in (("ada", True), ("bob", False)):
        said = {"message": made.states[name].waiting[0].message.id, "agreed": agreed, "by": "desk"}
        made.post(Fact(f"yes-{name}", "$approval", name, START + DAY, START + DAY, said))
    made.post(Fact("e1", "looked", "eve", START + 2 * DAY, START + 2 * DAY, {"path": "/"}))
    past.record(made, (asking,))
    assert past.backtest(asking).contacts == {}
    answer = past.backtest(replaced(asking, ("add: 1}", "add: 2}")))
    assert answer.contacts == {}
    freely = past.backtest(replaced(asking, (", approval: required", "")))
    given = {name: [(m["side"], m["fact"], m["reason"]) for m in c["messages"]] for name, c in freely.contacts.items()}
    assert given == {
        "ada": [("candidate", "q0", ""), ("baseline", "yes-ada", "")],
        "bob": [("candidate", "q1", ""), ("baseline", "yes-bob", "approval.rejected")],
        "eve": [("candidate", "q2", "")],
    }


def test_the_sums(past: Past):
    month(past)
    summary = past.backtest(replaced(CHEAPER, ("spend >= 100", "spend >= 10"))).summary
    assert summary["scores"] == {
        "interest": {**by_side(4, 4), "contacts": by_side(2, 2), "higher": 0, "lower": 0},
        "spend": {**by_side(130, 130), "contacts": by_side(2, 2), "higher": 0, "lower": 0},
    }
    assert summary["segments"] == {"big": {**by_side(1, 2), "joined": 1, "left": 0}}
    assert summary["lists"] == {"news": {**by_side(1, 1), "joined": 0, "left": 0}}
    assert summary["traits"] == {}
    assert summary["rules"] == {
        "scoring/big.on_enter": by_side(1, 2),
        "scoring/spend": by_side(4, 4),
        "scoring/tier": by_side(1, 3),
    }
    assert summary["codes"] == [
        {"kind": "voucher", **by_side(1, 3), "only": by_side(0, 2),
         "contacts": by_side(1, 1), "only_contacts": by_side(0, 0)}
    ]  # fmt: skip
    assert summary["messages"] == [
        {"template": "scoring/hello", "channel": "email", "reason": "", **by_side(1, 2), "only": by_side(1, 2),
         "contacts": by_side(1, 2), "only_contacts": by_side(0, 1)}
    ]  # fmt: skip


def test_segments_lists_and_traits_that_only_one_side_has(past: Past):
    month(past)
    contacts = past.backtest(replaced(SCORING, ("fact.total >= 50", "fact.total == 10"))).contacts
    assert contacts["ada"]["lists"] == {"news": by_side(True, False)}
    assert contacts["ada"]["traits"] == {"tier": by_side("gold", None)}
    assert contacts["bob"]["lists"] == {"news": by_side(False, True)}
    assert contacts["bob"]["traits"] == {"tier": by_side(None, "gold")}


def test_before_the_period_both_sides_are_the_baseline(past: Past):
    month(past)
    double = replaced(SCORING, ("add: = fact.total", "add: = fact.total * 2"))
    answer = past.backtest(double, since="2026-01-03T00:00:00Z", until="2026-01-04T00:00:00Z")
    assert answer.summary["facts"] | {"failed": 0, "rolled_back": 0} == {
        "before": 2, "compared": 2, "missing_entries": 0, "failed": 0, "rolled_back": 0,
    }  # fmt: skip
    assert answer.contacts["ada"]["scores"] == {"spend": by_side(60, 90)}
    assert "bob" not in answer.contacts
    assert answer.summary["scores"]["spend"] | {"contacts": 0} == {
        **by_side(70, 100), "contacts": 0, "higher": 1, "lower": 0,
    }  # fmt: skip
    assert answer.summary["contacts"] == {"recorded": 3, "changed": 1, "detailed": 1}


def test_a_contact_that_came_later_is_none(past: Past):
    month(past)
    answer = past.backtest(SCORING, until="2026-01-02T00:00:00Z")
    assert answer.summary["contacts"] == {"recorded": 1, "changed": 0, "detailed": 0}
    assert (answer.summary["facts"]["before"], answer.summary["facts"]["compared"]) == (0, 1)


def test_a_period_goes_by_when_a_fact_took_effect(past: Past):
    late = START + 20 * DAY
    history = [
        Fact(f"h{n}", "bought", "ada", START + n * DAY, late, {"total": 1, "item": "tea"}, backfill=True)
        for n in range(5)
    ]
    past.record(live(*history), (SCORING,))
    answer = past.backtest(SCORING, since="2d")
    assert answer.summary["period"] == {"since": "2026-01-03T00:00:00.001Z", "until": "2026-01-05T00:00:00.001Z"}
    assert answer.summary["facts"]["compared"] == 2


def test_what_would_not_go_out_says_why(past: Past):
    consent = {"channel": "email", "purpose": "marketing", "state": "granted"}
    past.record(
        live(
            Fact("q1", "looked", "ada", START, START, {"path": "/"}),
            Fact("q2", "looked", "ada", START, START, {"path": "/"}, backfill=True),
            Fact("q3", "consent", "ada", START, START, consent),
            Fact("q4", "looked", "ada", START, START, {"path": "/"}),
        ),
        (SCORING,),
    )
    answer = past.backtest(replaced(SCORING, ('fact.type == "asked"', 'fact.type == "looked"')))
    rows = {(m["reason"], m["channel"]): (m["baseline"], m["candidate"]) for m in answer.summary["messages"]}
    assert rows == {("", "email"): (0, 1), ("backfill", ""): (0, 1), ("consent.missing", "email"): (0, 1)}
    assert [m["reason"] for m in answer.contacts["ada"]["messages"]] == ["consent.missing", "backfill", ""]


def test_the_outcome_of_a_message_that_only_the_baseline_sent_did_not_happen_to_the_candidate(past: Past):
    sent = 'rules:\n  sent: {when: fact.type == "message.sent", then: [{set: {tier: = fact.channel}}]}\n'
    text = replaced(SCORING, ("rules:\n", sent))
    plan = plan_of(text)
    made = Live(lambda *_: plan)
    made.post(Fact("q1", "asked", "ada", START, START), Fact("q1", "asked", "bob", START, START))
    for message in made.messages:
        properties = {"message": message.id, "channel": "email", "template": "hello", "address": "x", "attempts": 1}
        made.post(Fact(f"s:{message.id}", "message.sent", message.contact, START + 9, START + 9, properties))
    past.record(made, (text,))
    assert past.backtest(text).summary["contacts"]["changed"] == 0
    answer = past.backtest(replaced(text, ('fact.type == "asked"', 'fact.type == "asked" and contact.id == "bob"')))
    assert answer.contacts["ada"]["traits"] == {"tier": by_side("email", None)}
    assert "bob" not in answer.contacts


def test_the_same_backtest_twice_is_the_same_byte_for_byte(past: Past):
    month(past)
    first, second = past.backtest(CHEAPER, since="3d"), past.backtest(CHEAPER, since="3d")
    assert first.contacts
    assert {n: first.files[n] for n in ("summary.json", "contacts.ndjson")} == {
        n: second.files[n] for n in ("summary.json", "contacts.ndjson")
    }


def test_what_is_recorded_later_changes_nothing(past: Past):
    month(past)
    first = past.backtest(CHEAPER, until="2026-01-04T00:00:00Z")
    month(past, bought("a4", "ada", 99, START + 5 * DAY), bought("z1", "zoe", 99, START + 5 * DAY))
    second = past.backtest(CHEAPER, until="2026-01-04T00:00:00Z")
    assert second.files["summary.json"] == first.files["summary.json"]
    assert second.files["contacts.ndjson"] == first.files["contacts.ndjson"]
    assert past.backtest(CHEAPER).files["summary.json"] != first.files["summary.json"]


def test_a_long_list_of_differences_is_counted_and_cut(past: Past):
    past.record(live(*(bought(f"f{n}", "ada", 30, START + n, f"item-{n:03}") for n in range(120))), (SCORING,))
    double = replaced(CHEAPER, ("name: interest, add: 1", "name: interest, add: 2"))
    ada = past.backtest(double).contacts["ada"]
    assert [c["fact"] for c in ada["codes"]] == [f"f{n}" for n in range(50)]
    assert list(ada["scores"]) == [f"interest:item-{n:03}" for n in range(50)]
    assert ada["differences"] == 120 + 120 + 2  # codes, keys, the list and the trait
    assert ada["omitted"] == 140


def test_what_time_alone_does_is_compared_as_well(past: Past):
    """Three purchases at once: five hours later the segment is left, and with the candidate two hours later."""
    hours = [START + n * DAY // 24 for n in range(3)]
    past.record(live(*(bought(f"f{n}", "ada", 1, at) for n, at in enumerate(hours))), (TIMED,))
    longer = replaced(TIMED, ('within="5h"', 'within="7h"'))
    ada = past.backtest(longer, until="2026-01-02T00:00:00Z").contacts["ada"]
    assert ada["codes"] == [
        {"side": "baseline", "at": "2026-01-01T05:00:00.000Z", "fact": f"tick:{hours[0] + 5 * DAY // 24}",
         "rule": "scoring/busy.on_leave", "kind": "back"},
        {"side": "candidate", "at": "2026-01-01T07:00:00.000Z", "fact": f"tick:{hours[0] + 7 * DAY // 24}",
         "rule": "scoring/busy.on_leave", "kind": "back"},
    ]  # fmt: skip
    between = past.backtest(longer, until="2026-01-01T06:00:00Z").contacts["ada"]
    assert between["segments"] == {"busy": by_side(False, True)}


def test_several_candidates_take_the_places_of_their_namesakes_together(past: Past):
    other = "apiVersion: overture/v1\nkind: Ruleset\nname: looks\nfacts: {looked: {path: string}}\n"
    other += (
        'scores: {views: {}}\nrules: {view: {when: fact.type == "looked", then: [{score: {name: views, add: 1}}]}}\n'
    )
    month(past)
    answer = past.backtest(CHEAPER, other)
    assert answer.contacts["eve"]["scores"] == {"views": by_side(0, 1)}
    assert set(answer.contacts) == {"ada", "eve"}
    assert set(answer.summary["candidate"]["rulesets"]) == {"scoring", "looks"}


def test_against_what_was_decided_then(past: Past):
    """Version 1 until the second day, version 2 from there: the record says which."""
    double = replaced(SCORING, ("add: = fact.total", "add: = fact.total * 2"))
    plans: dict[str, Any] = {"now": plan_of(SCORING)}
    made = Live(lambda *_: plans["now"])
    made.activate(1, START)
    made.post(bought("a1", "ada", 10, START), bought("b1", "bob", 10, START))
    made.activate(2, START + DAY)
    plans["now"] = plan_of(double, version=2)
    made.post(bought("a2", "ada", 10, START + 2 * DAY))
    past.record(made, (SCORING,), (double,))
    now = past.backtest(double, version=2)
    assert now.summary["contacts"]["changed"] == 0
    assert now.summary["scores"]["spend"]["baseline"] == 60
    then = past.backtest(double, version=2, baseline="recorded")
    assert then.contacts["ada"]["scores"] == {"spend": by_side(made.states["ada"].scores["spend"], 40)}
    assert then.contacts["bob"]["scores"] == {"spend": by_side(10, 20)}
