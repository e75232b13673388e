"""`python -m bench.dst`: waits on clocks that are put forward and back, against a calendar of its own.

Each case is a contact in some zone who comes to a wait shortly before clocks are put there: days, a local time, a local
time on some weekdays, or both. Some move to another zone meanwhile. Each is looked at too early, then in time or too
late. Then journeys that begin again each morning go on for ten years. What should have happened is worked out by
`expected`, from zoneinfo alone. Exit code 0: nobody early, nobody twice, nobody missed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from rich.console import Console
from rich.table import Table

from overture.decide import Plan, step
from overture.model import Contact, Fact, Step
from overture.rules import link, load

DAY, HOUR = 86_400_000, 3_600_000
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EPOCH = datetime(1970, 1, 1)
ROUND = 400  # cases of one ruleset
WAITS = 40  # journeys of one ruleset
DECADE = ("Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca", "UTC")
FROM, YEARS = datetime(2025, 1, 1), 10


class Wait:
    """``days`` and ``exact`` (ms) of `for`; ``at`` the minute of `until_local`, -1 for none; ``on``: weekdays, 0…6."""

    def __init__(self, dice: random.Random) -> None:
        kind = dice.choice(("days", "local", "on", "both", "exact", "exact-local"))
        self.days = dice.choice((1, 1, 2, 3, 7, 14, 30)) if kind in ("days", "both") else 0
        self.exact = dice.choice((1, 5, 24, 48)) * HOUR if kind.startswith("exact") else 0
        # Most often near the times at which clocks are put.
        minute = dice.choice((0, 15, 30, 60, 90, 119, 120, 121, 150, 179, 180, 210, dice.randrange(1440), 1439))
        self.at = minute if kind not in ("days", "exact") else -1
        self.on = sorted(dice.sample(range(7), dice.randint(1, 3))) if kind == "on" else []

    def __str__(self) -> str:
        parts: list[str] = []
        if self.days:
            parts.append(f"for: {self.days // 7}w" if self.days % 7 == 0 else f"for: {self.days}d")
        if self.exact:
            parts.append(f"for: {self.exact // HOUR}h")
        if self.at >= 0:
            parts.append(f'until_local: "{self.at // 60:02}:{self.at % 60:02}"')
        if self.on:
            parts.append(f"on: [{', '.join(DAYS[day] for day in self.on)}]")
        return f"{{{', '.join(parts)}}}"


def offset(at: int, zone: ZoneInfo) -> int:
    """ms east of Greenwich at an instant."""
    ahead = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).astimezone(zone).utcoffset()
    assert ahead is not None
    return round(ahead.total_seconds() * 1000)


def wall(at: int, zone: ZoneInfo) -> int:
    """What clocks show at an instant, as ms since they would have shown the epoch."""
    return at + offset(at, zone)


def instant(local: int, zone: ZoneInfo) -> int:
    """When clocks show that: the first time, or the end of the gap in which they never do."""
    near = {local - offset(local + hours * HOUR, zone) for hours in (-48, -26, -14, 0, 14, 26, 48)}
    shown = [at for at in near if wall(at, zone) == local]
    if shown:
        return min(shown)
    low, high = min(near), max(near)  # the gap lies between them
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if wall(middle, zone) < local else (low, middle)
    return high


def expected(wait: Wait, since: int, zone: ZoneInfo) -> int:
    """When the wait is over."""
    at = instant(wall(since, zone) + wait.days * DAY, zone) if wait.days else since + wait.exact
    if wait.at < 0:
        return at
    today = wall(at, zone) // DAY
    found = [
        instant(day * DAY + wait.at * 60_000, zone)
        for day in range(today - 2, today + 10)
        if not wait.on or (day + 3) % 7 in wait.on  # 1970-01-01 was a Thursday
    ]
    return min(t for t in found if t > since and t >= at)


def changes(zone: ZoneInfo, first: int, last: int) -> list[int]:
    """The instants (to the minute) at which clocks are put between two years."""
    at, end = (int((datetime(year, 1, 1) - EPOCH).total_seconds()) * 1000 for year in (first, last))
    found: list[int] = []
    while at < end:
        low, high = at, at + 7 * DAY
        if offset(low, zone) != offset(high, zone):
            while high - low > 60_000:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle, zone) == offset(low, zone) else (low, middle)
            found.append(high)
        at += 7 * DAY
    return found


def plan_of(waits: list[Wait]) -> Plan:
    lines = [
        "apiVersion: overture/v1",
        "kind: Ruleset",
        "name: dst",
        "facts: {came: {n: int}}",
        "traits: {timezone: string?}",
        "scores: {over: {}}",
        "journeys:",
    ]
    for n, wait in enumerate(waits):
        lines += [f"  w{n}:", f'    enter_when: fact.type == "came" and fact.n == {n}', "    steps:"]
        lines += [f"      - {{id: wait, wait: {wait}}}", "      - {id: over, score: {name: over, add: 1}}"]
    return Plan(link([load("\n".join(lines) + "\n")], 1), "reference")


def moves(outcome: Step) -> list[int]:
    """The instants at which somebody's wait was over."""
    return [
        trace.fact.instant
        for trace in outcome.traces
        for firing in trace.firings
        for effect in firing.effects
        if effect.kind == "score"
    ]


class Case:
    """One contact, who is shown facts."""

    def __init__(self, plan: Plan, n: int, zone: str) -> None:
        self.plan = plan
        self.contact = Contact(f"c{n}", traits={"timezone": zone})
        self.over: list[int] = []
        self.facts = 0

    def show(self, at: int, type: str, **properties: object) -> None:
        self.facts += 1
        outcome = step(self.contact, Fact(f"f{self.facts}", type, self.contact.id, at, at, properties), self.plan, at)
        self.contact = outcome.contact
        self.over += moves(outcome)


def one(plan: Plan, waits: list[Wait], n: int, zones: dict[str, list[int]], dice: random.Random) -> tuple[str, str]:
    """What is wrong (empty: nothing), and what the case is."""
    name, which = dice.choice(sorted(zones)), dice.randrange(len(waits))
    zone, wait = ZoneInfo(name), waits[which]
    before = dice.choice((wait.days * DAY + wait.exact, 0, DAY))
    since = dice.choice(zones[name]) - before + dice.randint(-2 * DAY, 2 * DAY)
    since = since // 60_000 * 60_000 if dice.random() < 0.5 else since
    case = Case(plan, n, name)
    case.show(since, "came", n=which)
    due = expected(wait, since, zone)
    told = f"{name} {wait} from {datetime.fromtimestamp(since / 1000, zone).isoformat()}"
    if due - since > 1 and dice.random() < 0.15:
        name = dice.choice(sorted(zones))
        moved = dice.randrange(since + 1, due)
        case.show(moved, "identify", timezone=name)
        due = max(moved, expected(wait, since, ZoneInfo(name)))
        told += f", in {name} since {datetime.fromtimestamp(moved / 1000, UTC).isoformat()}"
    told += f": expected {datetime.fromtimestamp(due / 1000, UTC).isoformat()}"
    if due > case.contact.clock + 1:
        case.show(due - 1, "$tick")
        if case.over:
            return "early", f"{told}, was over at {datetime.fromtimestamp(case.over[0] / 1000, UTC).isoformat()}"
    for late in (dice.choice((0, 1, 3 * DAY)), 5 * DAY, 60 * DAY):
        case.show(due + late, "$tick")
    if case.over == [due]:
        return "", told
    return ("missed" if not case.over else "double" if len(case.over) > 1 else "early or late"), f"{told}: {case.over}"


def decade(name: str, minute: int, dice: random.Random) -> tuple[int, str]:
    """Mornings in ten years, and what is wrong with them."""
    text = f"""\
apiVersion: overture/v1
kind: Ruleset
name: dst
facts: {{came: {{}}}}
traits: {{timezone: string?}}
scores: {{over: {{}}}}
journeys:
  mornings:
    enter_when: fact.type == "came"
    steps:
      - {{id: wait, wait: {{until_local: "{minute // 60:02}:{minute % 60:02}"}}}}
      - {{id: over, score: {{name: over, add: 1}}, then: wait}}
"""
    zone = ZoneInfo(name)
    case = Case(Plan(link([load(text)], 1), "reference"), 0, name)
    begin, end = (int((FROM.replace(year=FROM.year + y) - EPOCH).total_seconds()) * 1000 for y in (0, YEARS))
    case.show(begin, "came")
    at = begin
    while at < end:
        at = min(end, at + dice.choice((1, 7, 90)) * DAY + dice.randrange(DAY))
        case.show(at, "$tick")
    days = range(begin // DAY - 2, end // DAY + 2)
    right = sorted({t for day in days if begin < (t := instant(day * DAY + minute * 60_000, zone)) <= end})
    if case.over == right:
        return len(right), ""
    odd = sorted(set(case.over) ^ set(right)) or [t for t, n in Counter(case.over).items() if n > 1]
    return len(right), f"{name} {minute}: {len(case.over)} for {len(right)}, first at {odd[0]}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.dst", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    dice = random.Random(options.seed)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    began = time.monotonic()
    names = sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/"))
    zones = {name: put for name in names if (put := changes(ZoneInfo(name), 1990, 2040))}
    console.print(f"{len(zones)} zones whose clocks are put {sum(map(len, zones.values())):,} times, 1990 to 2039")
    wrong: Counter[str] = Counter()
    examples: list[str] = []
    for first in range(0, options.cases, ROUND):
        waits = [Wait(dice) for _ in range(WAITS)]
        plan = plan_of(waits)
        for n in range(first, min(first + ROUND, options.cases)):
            what, told = one(plan, waits, n, zones, dice)
            if what:
                wrong[what] += 1
                examples.append(f"{what}: {told}")
    mornings = 0
    for name in DECADE:
        for minute in (0, 30, 120, 150, 540):
            count, what = decade(name, minute, dice)
            mornings += count
            if what:
                wrong["of the mornings"] += 1
                examples.append(what)
    table = Table("what", "found", "allowed")
    table.add_row("waits near a change of clocks", f"{options.cases:,}", "")
    table.add_row(f"mornings of {YEARS} years, in {len(DECADE)} zones at 5 times of day", f"{mornings:,}", "")
    for what in ("early", "early or late", "double", "missed", "of the mornings"):
        table.add_row(f"… {what}", f"{wrong[what]:,}", "0")
    console.print(table)
    for example in examples[:10]:
        console.print(example)
    console.print(f"{time.monotonic() - began:.0f} s, seed {options.seed}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
