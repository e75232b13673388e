"""Calendar windows by the clock alone, against plain local dates: clocks that are put, leap days, ends of months."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from decidekit import Show, plan
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.model import Fact

PLAN = plan(
    """\
facts:
  viewed: {}
traits:
  timezone: "string?"
segments:
  today:
    when: seen("viewed", within="today")
  twice-this-week:
    when: count("viewed", within="this week") >= 2
  this-month:
    when: seen("viewed", within="this month")
  four-weeks:
    when: count("viewed", within="4w") >= 1
"""
)
ZONES = ["Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Auckland", "UTC"]
BEGINNINGS = [  # UTC; what follows within weeks is a change of clocks, a leap day, or the end of a year
    datetime(2026, 3, 20, tzinfo=UTC),
    datetime(2026, 10, 18, tzinfo=UTC),
    datetime(2028, 2, 20, tzinfo=UTC),
    datetime(2026, 12, 20, tzinfo=UTC),
    datetime(2026, 9, 20, tzinfo=UTC),
]


def expected(facts: list[int], clock: int, zone: ZoneInfo) -> dict[str, bool]:
    """What a person with a calendar on the wall would say."""

    def local(ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)

    now = local(clock)
    days = [local(at) for at in facts]
    weeks = [day.isocalendar()[:2] for day in days]
    return {
        "today": any(day.date() == now.date() for day in days),
        "twice-this-week": weeks.count(now.isocalendar()[:2]) >= 2,
        "this-month": any((day.year, day.month) == (now.year, now.month) for day in days),
        "four-weeks": any(at > clock - 28 * 86_400_000 for at in facts),
    }


@settings(max_examples=150)
@given(
    st.sampled_from(ZONES),
    st.sampled_from(BEGINNINGS),
    st.lists(st.tuples(st.integers(0, 3 * 24 * 60), st.sampled_from([0, 0, 0, 600, 6000])), min_size=1, max_size=10),
)
def test_each_membership_ends_when_the_calendar_says(zone: str, begin: datetime, fed: list[tuple[int, int]]) -> None:
    show, home, facts = Show(PLAN), ZoneInfo(zone), list[int]()
    clock = int(begin.timestamp() * 1000)
    show.take(Fact("zone", "identify", "ada", clock, clock, {"timezone": zone}))

    def right() -> None:
        contact = show.contact
        assert {name: name in contact.segments for name in expected([], clock, home)} == expected(
            facts, contact.clock, home
        )

    def woken(until: int) -> None:
        while 0 < show.contact.due <= until:
            due = show.contact.due
            known = set(show.contact.segments)
            assert {name for name, there in expected(facts, due - 1, home).items() if there} == known
            show.take(Fact(f"tick:{due}", "$tick", "ada", due, due))
            right()

    for n, (minutes, late) in enumerate(fed):
        clock += minutes * 60_000
        if n % 2:
            woken(clock)
        occurred = clock - late * 60_000
        facts.append(occurred)
        show.take(Fact(f"f{n}", "viewed", "ada", occurred, clock))
        right()
    end = clock + int(timedelta(days=70).total_seconds() * 1000)
    woken(end)
    assert (show.contact.segments, show.contact.due) == ({}, 0)
