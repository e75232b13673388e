"""`python -m bench.journeys`: 100,000 contacts through three weeks of a journey, under a clock that is not the wall's.

Each contact is decided by the same step as live traffic: it signs up, some open the first mail, some buy, some more
than once; in between it is woken when something of it is due, as a worker would, now and then late. What each contact
must get follows from its number, see `expected`. Exit code 0: nobody stuck, nobody twice, all as expected.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from overture.decide import Plan, step
from overture.model import Contact, Fact
from overture.rules import link, load

START = int(datetime(2026, 3, 9, tzinfo=UTC).timestamp() * 1000)  # a Monday; clocks are put in the third week
HOUR, DAY = 3_600_000, 86_400_000
END = START + 30 * DAY  # whoever is still under way then is stuck
ZONES = ("UTC", "Europe/Vienna", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe")
LATE = (0, 0, 0, 1, 60_000, 7 * HOUR)  # how long nobody looks at a contact that is due, ms
DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: bed
requires: {channels: [email]}
facts: {signed_up: {}, opened: {}, bought: {}}
traits: {timezone: string?}
scores: {patience: {}}
journeys:
  three-weeks:
    enter_when: fact.type == "signed_up"
    goal: fact.type == "bought"
    steps:
      - {id: pause, wait: {for: 1h}}
      - {id: welcome, send: {channel: email, template: mail, purpose: transactional}}
      - {id: read, wait: {for: 3d, until: fact.type == "opened"}}
      - id: interested
        branch:
          - {if: wait.matched, go: morning}
      - {id: nudge, send: {channel: email, template: mail, purpose: transactional}}
      - {id: morning, wait: {for: 4d, until_local: "09:00"}}
      - {id: tip, send: {channel: email, template: mail, purpose: transactional}}
      - id: way
        split:
          - {name: short, weight: 50, go: weekend}
          - {name: long, weight: 50, go: offer}
      - {id: offer, send: {channel: email, template: mail, purpose: transactional}}
      - {id: weekend, wait: {for: 1w, until_local: "10:30", on: [sat, sun]}}
      - {id: last, send: {channel: email, template: mail, purpose: transactional}}
      - {id: counted, score: {name: patience, add: 1}}
templates: {mail: {subject: Hello, text: Hello}}
"""


def signed_up(n: int) -> int:
    """Everybody within a day."""
    return START + n * 7919 % DAY


def behaviour(n: int) -> list[tuple[int, str]]:
    """(after signing up, fact) in order. Every second contact opens after a day, every fifth buys before the tip,
    one in fifty after it; one in seven signs up again, which does nothing.
    """
    facts = [(DAY, "opened")] if n % 2 == 0 else []
    if n % 5 == 0:
        facts.append((2 * DAY, "bought"))
    elif n % 50 == 7:
        facts.append((9 * DAY + 12 * HOUR, "bought"))
    if n % 7 == 0:
        facts.append((5 * DAY + HOUR, "signed_up"))
    return sorted(facts)


def expected(contacts: int) -> dict[str, int]:
    """Counts in closed form. Of those who buy late all have had the tip: 1 h + 3 days + 4 days + a day at most."""
    early = _up_to(contacts, 5)
    late = _up_to(contacts, 50, 7)
    unopened_bought = early - _up_to(contacts, 10)
    return {
        "welcome": contacts,
        "nudge": contacts - _up_to(contacts, 2) - unopened_bought,
        "tip": contacts - early,
        "last": contacts - early - late,
        "end:goal": early + late,
        "end:done": contacts - early - late,
    }


def _up_to(contacts: int, step: int, first: int = 0) -> int:
    return len(range(first, contacts, step))


@dataclass
class Found:
    """``ways``: of the split, by name; ``wrong``: the contacts with whom something is."""

    counts: Counter[str] = field(default_factory=Counter[str])
    ways: Counter[str] = field(default_factory=Counter[str])
    stuck: int = 0
    twice: int = 0
    early: int = 0
    decisions: int = 0
    wrong: list[str] = field(default_factory=list[str])


class Walk:
    """One contact on its way."""

    def __init__(self, n: int, plan: Plan, found: Found) -> None:
        self.n = n
        self.contact = Contact(f"c{n}", traits={"timezone": ZONES[n % len(ZONES)]})
        self.sent: list[tuple[str, int]] = []
        self._plan = plan
        self._found = found
        self._messages: set[str] = set()

    def go(self, dice: random.Random) -> None:
        """What the contact does, and the looks of a worker in between."""
        todo = [(after, type) for after, type in behaviour(self.n)]
        for after, type in [(0, "signed_up"), *todo, (END - signed_up(self.n), "$tick")]:
            at = signed_up(self.n) + after
            while self.contact.due and (look := self.contact.due + dice.choice(LATE)) < at:
                self._take("$tick", look)
            self._take(type, at)

    def _take(self, type: str, at: int) -> None:
        found = self._found
        outcome = step(self.contact, Fact(f"{type}:{at}", type, self.contact.id, at, at), self._plan, at)
        self.contact = outcome.contact
        found.decisions += 1 + len(outcome.ticks)
        for message in outcome.messages:
            found.twice += message.id in self._messages
            found.early += message.created_at > at
            found.counts[message.step] += 1
            self._messages.add(message.id)
            self.sent.append((message.step, message.created_at))
        effects = [e for t in outcome.traces for f in t.firings for e in f.effects]
        for effect in effects:
            if effect.kind == "journey" and str(effect.after).startswith("end:"):
                found.counts[str(effect.after)] += 1
            elif effect.kind == "journey" and effect.before == "way":
                found.ways[effect.reason] += 1

    def judge(self) -> None:
        n, found = self.n, self._found
        found.stuck += bool(self.contact.journeys or self.contact.due)
        bought = n % 5 == 0 or n % 50 == 7
        right = ["welcome", *["nudge"] * (n % 2 == 1 and n % 5 != 0), *["tip"] * (n % 5 != 0), *["last"] * (not bought)]
        times = [at for _, at in self.sent]
        got = [name for name, _ in self.sent if name != "offer"]
        if got != right or times != sorted(times) or times[0] != signed_up(n) + HOUR:
            found.wrong.append(f"c{n}: {self.sent}, not {right}")


def walk_all(numbers: Iterable[int]) -> Found:
    plan = Plan(link([load(DOCUMENT)], 1))
    dice = random.Random(1)
    found = Found()
    for n in numbers:
        walk = Walk(n, plan, found)
        walk.go(dice)
        walk.judge()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.journeys", description=__doc__)
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False, markup=False)
    began = time.monotonic()
    shares = [range(first, options.contacts, options.processes) for first in range(options.processes)]
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        parts = pool.map(walk_all, shares)
    seconds = time.monotonic() - began
    counts = sum((part.counts for part in parts), Counter[str]())
    ways = sum((part.ways for part in parts), Counter[str]())
    right = expected(options.contacts)
    table = Table("what", "found", "expected")
    wrong = False
    for name, value in right.items():
        table.add_row(name, f"{counts[name]:,}", f"{value:,}")
        wrong |= counts[name] != value
    # Who went which way is drawn by a hash: exact is only that all who got the tip went one of them.
    drift = abs(2 * ways["short"] - right["tip"]) / max(1, right["tip"]) ** 0.5
    table.add_row("short + long", f"{ways['short']:,} + {ways['long']:,}", f"{right['tip']:,}, within 5 σ")
    table.add_row("offer", f"{counts['offer']:,}", f"{ways['long']:,}")
    wrong |= ways["short"] + ways["long"] != right["tip"] or counts["offer"] != ways["long"] or drift > 5
    wrong |= bool(set(counts) - set(right) - {"offer"})
    for name in ("stuck", "twice", "early"):
        value = sum(getattr(part, name) for part in parts)
        table.add_row(name, f"{value:,}", "0")
        wrong |= value != 0
    console.print(table)
    examples = [told for part in parts for told in part.wrong]
    for told in examples[:5]:
        console.print(told)
    decisions = sum(part.decisions for part in parts)
    console.print(
        f"{options.contacts:,} contacts, {decisions:,} decisions in {seconds:.0f} s, {options.processes} processes: "
        f"{decisions / seconds:,.0f} decisions/s, {options.contacts / seconds:,.0f} contacts/s"
    )
    return 1 if wrong or examples else 0


if __name__ == "__main__":
    sys.exit(main())
