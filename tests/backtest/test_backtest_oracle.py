"""Against an oracle: the same facts decided by two live systems, of which one got the candidate when the period began.

Contacts become known on the way, contacts that took in others too, in an order that has nothing to do with partitions;
and what is at hand is so little that nearly everything goes through the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from backtestkit import DAY, PARTITIONS, START, TIMED, Live, bought, by_side, plan_of, replaced
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from overture.backtest.comparison import Comparison
from overture.backtest.period import Period
from overture.backtest.report import Report
from overture.backtest.run import scores_at
from overture.backtest.sides import Sides
from overture.backtest.spill import Spill
from overture.decide import Plan
from overture.model import Fact
from overture.rules import load
from overture.state.registry import Activation

CANDIDATE = replaced(
    TIMED,
    ("fact.total >= 50", "fact.total >= 20"),
    ("spend >= 100", "spend >= 60"),
    ("name: interest, add: 1", "name: interest, add: 2"),
    ('within="5h"', 'within="9h"'),
    ("half_life: 6h", "half_life: 12h"),
    ("templates:\n", "templates:\n  steady: {subject: Hello, text: Hello}\n"),
    (
        "  hot:\n",
        """\
  steady:
    when: count("bought", within="2d") >= 4 and total("bought", "total") >= 30
    on_enter: [{send: {channel: email, template: steady, purpose: transactional}}]
  hot:
""",
    ),
)
WEAK = [f"anonymous_id:{n}" for n in range(4)]
MIDDLE = [f"email:{n}@example.com" for n in range(2)]
STRONG = [f"user-{n}" for n in range(2)]

names = st.sampled_from(WEAK + MIDDLE + STRONG)
links = st.tuples(st.just("link"), st.sampled_from(WEAK + MIDDLE), st.sampled_from(MIDDLE + STRONG)).filter(
    lambda one: one[1] != one[2] and not (one[1] in MIDDLE and one[2] in MIDDLE)
)
buys = st.tuples(st.just("buy"), names, st.sampled_from([5, 20, 50, 70]), st.sampled_from(["tea", "mug"]))
asks = st.tuples(st.just("ask"), names)
agrees = st.tuples(st.just("agree"), names, st.sampled_from(["granted", "denied"]))
waits = st.tuples(st.just("wait"))
pasts = st.lists(st.one_of(buys, buys, buys, buys, links, asks, agrees, waits), min_size=20, max_size=80)


class System(Live):
    """One that gets the candidate when the period begins, if ``after`` is one."""

    def __init__(self, before: Plan, after: Plan | None = None) -> None:
        super().__init__(lambda *_: self.plan)
        self.plan = before
        self._after = after
        self._begun = False

    def begin(self, since: int) -> None:
        if not self._begun:
            self._begun = True
            self.wake(since - 1)
            if self._after is not None:
                self.plan = self._after
                self.sweep(self.plan, since)


def play(made: System, past: list[tuple[Any, ...]], since: int = 0) -> None:
    """One thing an hour; the time before ``since`` is over when the first one after it comes."""
    taken: set[str] = set()
    for n, (what, *more) in enumerate(past):
        at = START + n * DAY // 24
        if at - DAY // 24 < since <= at:
            made.begin(since)
        name = more.pop(0) if more else ""
        if what == "wait":
            made.wake(at)
        elif what == "link":
            # As identities are resolved: where a link leads is looked up, and the first one stays.
            if name not in taken:
                taken.add(name)
                made.link(name, more[0], at)
        elif what == "buy":
            made.post(bought(f"f{n}", name, more[0], at, more[1]))
        elif what == "ask":
            made.post(Fact(f"f{n}", "asked", name, at, at))
        else:
            consent = {"channel": "email", "purpose": "marketing", "state": more[0]}
            made.post(Fact(f"f{n}", "consent", name, at, at, consent))


def sides_of(active: Plan, candidate: str) -> Sides:
    revision = load(TIMED).revision
    rows = {id: tuple(since) for id, since in active.program.since.items()}
    texts = {("scoring", revision): TIMED}
    return Sides({1: Activation({"scoring": revision}, rows)}, texts, 1, {"scoring": candidate}, recorded=False)


def compared(made: Live, sides: Sides, period: Period, directory: Path, room: int) -> Report:
    programs = (sides.baseline(1).program, sides.candidate.program)
    report = Report(*(scores_at(program, period.until - 1) for program in programs))
    spill = Spill(directory, room)
    try:
        comparison = Comparison(sides, period, spill, report, recorded=False)
        for p in range(PARTITIONS):
            for fact in (fact for q, facts in made.order if q == p for fact in facts):
                comparison.feed(fact, 1)
            comparison.end_partition()
        comparison.finish()
    finally:
        spill.close()
        directory.unlink()
    assert comparison.failed == [0, 0]
    assert comparison.before + comparison.compared + comparison.after == sum(len(facts) for _, facts in made.order)
    return report


def differences(one: dict[str, Any], other: dict[str, Any], nothing: Any) -> dict[str, Any]:
    every = sorted({*one, *other})
    pairs = {name: (one.get(name, nothing), other.get(name, nothing)) for name in every}
    return {name: by_side(a, b) for name, (a, b) in pairs.items() if a != b}


def members(names: dict[str, int]) -> dict[str, bool]:
    return dict.fromkeys(names, True)


def given_by(made: Live, since: int) -> dict[str, list[tuple[str, ...]]]:
    """(fact, what, name) of every message and code by the contact that has them in the end."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for done in made.steps:
        for trace, effect in ((t, e) for t in done.moments for firing in t.firings for e in firing.effects):
            if effect.kind in ("send", "issue") and trace.fact.instant >= since:
                told = (trace.fact.id, effect.kind, effect.name)
                found.setdefault(made.root(done.contact.id), []).append(told)
    return {name: sorted(each) for name, each in found.items()}


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    past=pasts,
    first=st.integers(0, 20),
    last=st.integers(10, 100),
    room=st.sampled_from([600, 2_000, 1 << 20]),
    applied=st.booleans(),
)
def test_as_two_live_systems(tmp_path: Path, past: list[Any], first: int, last: int, room: int, applied: bool):
    since = START + first * DAY // 24
    until = max(since + 1, START + last * DAY // 24)
    candidate = replaced(CANDIDATE, ("scores:\n", "on_activate: apply\nscores:\n")) if applied else CANDIDATE
    before = plan_of(TIMED)
    after = plan_of(candidate, version=2, before=before)
    one, other = System(before), System(before, after)
    cut = [each for n, each in enumerate(past) if START + n * DAY // 24 < until]
    for made in (one, other):
        play(made, cut, since)
        made.begin(since)
        made.wake(until - 1)
    whole = System(before)  # the record goes on after the period
    play(whole, past)
    sides = sides_of(before, candidate)
    report = compared(whole, sides, Period(since, until), tmp_path / "spill", room)
    summary = report.summary()
    details = {shown["contact"]: shown for shown in map(json.loads, report.details())}

    reads = [scores_at(plan.program, until - 1) for plan in (before, after)]
    expected: dict[str, Any] = {}
    gifts = given_by(one, since), given_by(other, since)
    for name, a in one.contacts.items():
        b = other.contacts[name]
        kinds = {
            "scores": differences(reads[0](a), reads[1](b), 0),
            "segments": differences(members(a.segments), members(b.segments), False),
            "lists": differences(members(a.lists), members(b.lists), False),
            "traits": differences(a.traits, b.traits, None),
        }
        same = [gift for gift in gifts[0].get(name, []) if gift in gifts[1].get(name, [])]
        apart = [each for gift in gifts for each in gift.get(name, []) if each not in same]
        if any(kinds.values()) or apart:
            expected[name] = kinds | {"given": len(apart)}
    shown = {
        name: {kind: d[kind] for kind in ("scores", "segments", "lists", "traits")}
        | {"given": len(d["messages"]) + len(d["codes"])}
        for name, d in details.items()
    }
    assert shown == expected
    assert summary["contacts"]["changed"] == len(expected)
    for kind in ("segments", "lists"):
        for name, row in summary[kind].items():
            there = [sum(name in getattr(c, kind) for c in made.contacts.values()) for made in (one, other)]
            assert [row["baseline"], row["candidate"]] == there
    for name, row in summary["scores"].items():
        totals = [
            sum(v for c in made.contacts.values() for k, v in read(c).items() if k.partition(":")[0] == name)
            for made, read in ((one, reads[0]), (other, reads[1]))
        ]
        assert [row["baseline"], row["candidate"]] == [pytest.approx(total, abs=1e-6) for total in totals]


def test_without_the_link_in_the_record_both_sides_take_what_was_recorded(tmp_path: Path):
    plan = plan_of(TIMED)
    made = Live(lambda *_: plan)
    made.post(bought("f1", WEAK[0], 70, START))
    made.link(WEAK[0], "user-0", START + 1)
    made.order = [(p, facts) for p, facts in made.order if facts[0].contact == "user-0"]
    sides = sides_of(plan, CANDIDATE)
    summary = compared(made, sides, Period(0, START + DAY), tmp_path / "spill", 1 << 20).summary()
    assert summary["scores"]["spend"]["baseline"] == summary["scores"]["spend"]["candidate"] == 70
    assert summary["segments"]["big"]["joined"] == 1


def test_room_changes_nothing(tmp_path: Path):
    plan = plan_of(TIMED)
    made = Live(lambda *_: plan)
    for n in range(400):
        made.post(bought(f"f{n}", f"user-{n * 7 % 90}", n % 80, START + n))
    sides = sides_of(plan, CANDIDATE)
    period = Period(START + 100, START + 350)
    little, much = (compared(made, sides, period, tmp_path / "spill", room) for room in (600, 1 << 20))
    assert little.summary() == much.summary()
    assert [*little.details()] == [*much.details()]
    assert much.summary()["scores"]["spend"]["baseline"] == sum(n % 80 for n in range(350))
    assert much.changed == 90


def test_a_contact_whose_period_began_brings_it_along(tmp_path: Path):
    """The server that linked has a clock that is behind, so the other contact is still before the period."""
    plan = plan_of(TIMED)
    made = Live(lambda *_: plan)
    ahead = {"total": 30, "item": "tea"}
    made.post(Fact("f1", "bought", WEAK[0], START + 5, START + 5, ahead))
    made.link(WEAK[0], "user-0", START + 1)
    sides = sides_of(plan, CANDIDATE)
    report = compared(made, sides, Period(START + 3, START + DAY), tmp_path / "spill", 1 << 20)
    (detail,) = map(json.loads, report.details())
    assert detail["contact"] == "user-0"
    assert detail["traits"] == {"tier": by_side(None, "gold")}
    assert [code["side"] for code in detail["codes"]] == ["candidate"]


def test_what_a_contact_did_before_it_became_known_is_counted(tmp_path: Path):
    plan = plan_of(TIMED)
    made = Live(lambda *_: plan)
    for n in range(3):
        made.post(bought(f"f{n}", WEAK[0], 10, START + n))
    made.link(WEAK[0], "user-0", START + 5)
    made.post(bought("f5", "user-0", 5, START + 20))
    report = compared(made, sides_of(plan, CANDIDATE), Period(START + 10, START + DAY), tmp_path / "spill", 1 << 20)
    (detail,) = map(json.loads, report.details())
    assert [m["fact"] for m in detail["messages"] if m["template"] == "scoring/steady"] == ["f5"]
