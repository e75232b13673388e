"""What holds for the send gate whatever comes: caps, quiet hours, every message accounted for, whoever looks when."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gatekit import DAY, EMAIL_SMS, HOUR, Gated, gated, gates, send
from hypothesis import example, given, settings
from hypothesis import strategies as st

from overture.decide.gatekeeping import waits
from overture.match.zone import period_start
from overture.rules.sending import Cap, Quiet

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu", "UTC")
PURPOSES = frozenset({"lifecycle"})
MINUTE = 60_000

SENDS = {
    "plain": send("plain"),
    "high": send("high", priority=9),
    "late": send("late", late_ms=10 * HOUR, priority=3),
    "at_once": send("at_once", expires=True),
    "any": send("any", channel="", priority=1),
    "image": send("image", channel="", needs=frozenset({"image"})),
    "receipt": send("receipt", purpose="transactional"),
}
QUIETS = st.lists(
    st.builds(Quiet, st.integers(0, 1439), st.integers(0, 1439), st.just(PURPOSES)).filter(lambda q: q.start != q.end),
    max_size=2,
).map(tuple)
CAPS = st.lists(
    st.builds(Cap, st.integers(1, 3), st.just(PURPOSES), st.integers(1, 3 * 24).map(lambda h: h * HOUR))
    | st.builds(lambda n, cal: Cap(n, PURPOSES, 0, cal), st.integers(1, 3), st.sampled_from(["day", "week", "month"])),
    max_size=2,
).map(tuple)
# The days around which the clocks of these zones are put, and any other.
BEGINS = st.sampled_from(
    ["2026-03-07", "2026-03-28", "2026-04-04", "2026-10-03", "2026-10-24", "2026-10-31", "2026-02-15"]
)
COMES = st.lists(st.tuples(st.integers(0, 20 * 60), st.sampled_from(sorted(SENDS))), min_size=1, max_size=30)


def wall(at: int, zone: ZoneInfo) -> int:
    local = datetime.fromtimestamp(at // 1000, zone)
    return 60 * local.hour + local.minute


def is_quiet(quiet: Quiet, minute: int) -> bool:
    if quiet.start < quiet.end:
        return quiet.start <= minute < quiet.end
    return not quiet.end <= minute < quiet.start


def passed(ada: Gated) -> list[tuple[int, str, str]]:
    """(when by the contact's clock, template, id) of what passed the caps and quiet hours."""
    return [
        (trace.fact.instant if trace.fact.type == "$tick" else step.contact.clock, e.name, e.key)
        for step in ada.steps
        for trace in (*step.ticks, step.trace)
        for e in trace.effects
        if e.kind == "gate" and not e.reason
    ]


def run(zone: str, begin: str, comes: list[tuple[int, str]], looks: list[int], **sending: Any) -> Gated:
    """Show what comes (minutes after the one before), with somebody looking in between, then wait for a long time."""
    start = int(datetime.fromisoformat(begin).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    traits = {"email": "a@example.com", "phone": "+1", "timezone": zone}
    ada = Gated(gated(SENDS, channels=EMAIL_SMS, **sending), start, traits=traits)
    seen = [start + minutes * MINUTE for minutes in sorted(looks)]
    for n, (minutes, type) in enumerate(comes):
        at = ada.now + minutes * MINUTE
        while seen and seen[0] <= at:
            ada.until(max(seen.pop(0), ada.now))
        ada.now = at
        ada.post(type, n=n)
    end = ada.now + 3 * 366 * DAY
    ada.until(end)
    return ada


@settings(max_examples=120)
@given(st.sampled_from(ZONES), BEGINS, COMES, st.just([]), QUIETS, CAPS)
@example("Europe/Berlin", "2026-10-24", [(1500, "plain"), (60, "high")], [], (Quiet(60, 150, PURPOSES),), ())
@example("Europe/Berlin", "2026-03-28", [(1530, "plain")], [], (Quiet(60, 150, PURPOSES),), ())
def test_caps_and_quiet_hours_hold_and_every_message_ends_once(
    zone: str,
    begin: str,
    comes: list[tuple[int, str]],
    looks: list[int],
    quiet: tuple[Quiet, ...],
    caps: tuple[Cap, ...],
) -> None:
    ada = run(zone, begin, comes, looks, quiet=quiet, caps=caps)
    where = ZoneInfo(zone)
    went = [(at, name, key) for at, name, key in passed(ada) if name != "receipt"]
    for at, name, _ in went:
        assert not any(is_quiet(each, wall(at, where)) for each in quiet), (name, at)
    for cap in caps:
        times = sorted(at for at, _, _ in went)
        for at in times:
            if cap.calendar:
                first = period_start(at, cap.calendar, where)
                inside = [other for other in times if first <= other <= at]
            else:
                inside = [other for other in times if at - cap.ms < other <= at]
            assert len(inside) <= cap.max
    # None is lost, none goes twice: each ends in exactly one way, and the last word on it is that.
    sent = Counter(message.id for message in ada.sent)
    assert all(n == 1 for n in sent.values())
    ends = Counter(e.key for step in ada.steps for e in gates(step) if not waits(e))
    assert all(n == 1 for n in ends.values())
    assert ada.contact.waiting == []
    refused = {e.key for step in ada.steps for e in gates(step) if e.reason and not waits(e)}
    assert not refused & set(sent)
    assert len(sent) + len(refused) == len(comes)
    assert (ada.contact.due, sum(m.template == "receipt" for m in ada.sent)) == (
        0,
        sum(t == "receipt" for _, t in comes),
    )
    assert all("contact" in message.context for message in ada.sent)


@settings(max_examples=60)
@given(
    st.sampled_from(ZONES), BEGINS, COMES, st.lists(st.integers(0, 30 * 24 * 60), max_size=12), QUIETS, CAPS
)  # fmt: skip
def test_it_does_not_matter_when_somebody_looks(
    zone: str,
    begin: str,
    comes: list[tuple[int, str]],
    looks: list[int],
    quiet: tuple[Quiet, ...],
    caps: tuple[Cap, ...],
) -> None:
    alone, watched = (run(zone, begin, comes, seen, quiet=quiet, caps=caps) for seen in ([], looks))
    # Facts are numbered by the steps, looks included: what a message says tells which one it is.
    names = [[(m.template, m.channel, m.context["fact"]["n"]) for m in each.sent] for each in (alone, watched)]
    assert names[0] == names[1]
    assert [(at, name) for at, name, _ in passed(alone)] == [(at, name) for at, name, _ in passed(watched)]
    assert [(s.at, s.rule) for s in alone.contact.sent] == [(s.at, s.rule) for s in watched.contact.sent]
