"""What our sampler would have come to on a shop's pages, from what a random policy showed there and logged.

    python -m bench.offpolicy [--wheel obp-0.4.1-py3-none-any.whl]

The data: a week of impressions of a fashion shop (Open Bandit Dataset, the sample in the package obp 0.4.1): for each
of three campaigns 10,000 that a random policy showed and 10,000 that a Thompson sampler of theirs did, each with its
propensity and whether it was clicked. The package asks for torch and more, so only the wheel is read:

    pip download --no-deps obp==0.4.1

The sampler is the one that ships (`overture.deploy.choices.posterior`, `overture.decide.choosing.Sampler`), asked once
a day: an impression of a day is weighed by what it would have shown that day, knowing the days before. Estimated from
the random log by inverse propensities (IPS), by these normalised (SNIPS), and doubly robust (DR) with a model of each
item's rate from the days before; the last column is how much more than the random policy that is. In the second row of
a campaign it knows what their sampler showed that week instead, and all of the random log is left to estimate from.

Some 40 clicks a week do not tell such policies apart, and the intervals say so. What more of them would come to shows
the simulation: items that are clicked at the rates that both logs together have (the best one's is good luck in part),
10,000 impressions a day, and the sampler that learns overnight from its own.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile

from overture.decide.choosing import Sampler
from overture.deploy.choices import posterior
from overture.model.intervals import wilson
from overture.model.offpolicy import Estimate, Row, Weighed, doubly_robust
from overture.rules.ruleset import Choice, Variant
from overture.rules.tree import Literal
from overture.state.choices import Cell, Counts

CAMPAIGNS = ("all", "men", "women")
WHEEL = "obp-0.4.1-py3-none-any.whl"
EXPLORE = 0.05
DAYS, A_DAY = 30, 10_000  # of the simulation
SHRUNK = 100.0  # impressions at the mean of all that an item's rate is begun with


class Impression(NamedTuple):
    day: str
    item: str
    clicked: bool
    propensity: float


def logged(wheel: Path, policy: str, campaign: str) -> list[Impression]:
    with ZipFile(wheel) as files, files.open(f"obp/dataset/obd/{policy}/{campaign}/{campaign}.csv") as raw:
        rows = csv.DictReader(io.TextIOWrapper(raw, "utf-8"))
        return [
            Impression(row["timestamp"][:10], row["item_id"], row["click"] == "1", float(row["propensity_score"]))
            for row in rows
        ]


def choice(items: Iterable[str]) -> Choice:
    """One of as many variants as there are items; a document's has twenty at most."""
    variants = tuple(Variant(item) for item in items)
    return Choice("items", "obd", "", variants, Literal(True), frozenset(), 1, EXPLORE, edition="1")


def counted(impressions: Iterable[Impression], of: Choice) -> Counts:
    counts: Counts = Counter()
    for each in impressions:
        counts[Cell(of.id, of.edition, each.item, "counted")] += 1
        counts[Cell(of.id, of.edition, each.item, "reached")] += each.clicked
    return counts


class Policy(NamedTuple):
    """What is shown how often, and what a model of each item's rate expects."""

    shares: Mapping[str, float]
    rates: Mapping[str, float]

    @property
    def expected(self) -> float:
        return sum(share * self.rates[item] for item, share in self.shares.items())


def learned(past: Sequence[Impression], of: Choice) -> Policy:
    counts = counted(past, of)
    sampler = Sampler(of, posterior(of, counts))
    shares = sampler.shares(tuple(range(len(sampler.variants))))
    mean = sum(each.clicked for each in past) / len(past) if past else 0.0

    def rate(item: str) -> float:
        cell = Cell(of.id, of.edition, item, "reached")
        return (counts[cell] + SHRUNK * mean) / (counts[cell._replace(what="counted")] + SHRUNK)

    return Policy(dict(zip(sampler.variants, shares, strict=True)), {item: rate(item) for item in sampler.variants})


def estimated(shown: Iterable[tuple[Impression, Policy]]) -> list[Estimate | None]:
    """By IPS, SNIPS, DR; and by SNIPS how much more than what was logged."""
    sums, rows = Weighed(), list[Row]()
    for each, policy in shown:
        weight = policy.shares[each.item] / each.propensity
        sums.add(weight, each.clicked)
        rows.append(Row(weight, float(each.clicked), policy.rates[each.item], policy.expected))
    return [sums.ips(), sums.snips(), doubly_robust(rows), sums.over(sum(int(row.reward) for row in rows))]


def daily(log: Sequence[Impression], of: Choice) -> list[tuple[Impression, Policy]]:
    """Each impression after the first day, with what is known by then."""
    days = sorted({each.day for each in log})
    found: list[tuple[Impression, Policy]] = []
    for day in days[1:]:
        policy = learned([each for each in log if each.day < day], of)
        found += ((each, policy) for each in log if each.day == day)
    return found


def _observed(name: str, log: Sequence[Impression]) -> str:
    n, x = len(log), sum(each.clicked for each in log)
    low, high = wilson(x, n)
    return f"{name:42} {n:>6} {x:>4}   {100 * x / n:.2f} [{100 * low:.2f}, {100 * high:.2f}]"


def _told(name: str, n: int, estimates: Sequence[Estimate | None]) -> str:
    cells = [f"{100 * e.value:.2f} [{100 * e.low:.2f}, {100 * e.high:.2f}]" for e in estimates if e is not None]
    weight = next((e.weight for e in estimates if e is not None), 0.0)
    return f"{name:42} {n:>6} {weight:>6.0f} " + "  ".join(f"{cell:<20}" for cell in cells)


def simulated(rates: Mapping[str, float], dice: random.Random) -> list[str]:
    """Clicks in % by day, of ours: what it learns from is what it showed."""
    of, past, told = choice(rates), list[Impression](), list[str]()
    for day in range(1, DAYS + 1):
        policy = learned(past, of)
        items = dice.choices([*policy.shares], [*policy.shares.values()], k=A_DAY)
        today = [Impression(f"{day}", item, dice.random() < rates[item], policy.shares[item]) for item in items]
        past += today
        if day in (1, 2, 7, 14, DAYS):
            told.append(f"day {day}: {100 * sum(policy.shares[item] * rates[item] for item in rates):.2f}")
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=Path, default=Path(WHEEL), help="of obp 0.4.1, as pip downloads it")
    args = parser.parse_args()
    if not args.wheel.is_file():
        sys.exit(f"There is no {args.wheel}. Get it with: pip download --no-deps obp==0.4.1")
    took = 0.0
    for campaign in CAMPAIGNS:
        log, theirs = (logged(args.wheel, policy, campaign) for policy in ("random", "bts"))
        of = choice(sorted({each.item for each in log}, key=int))
        print(f"\n{campaign}: {len(of.variants)} items; clicks in %, with 95 % intervals")
        print(f"{'logged':42} {'shown':>6} {'clicks':>4} clicked")
        print(_observed("  random", log))
        print(_observed("  their Thompson sampler", theirs))
        columns = "  ".join(f"{name:<20}" for name in ("IPS", "SNIPS", "DR", "more"))
        print(f"{'estimated from the random log':42} {'used':>6} {'worth':>6} {columns}")
        by_day = daily(log, of)
        since = [each for each, _ in by_day]
        even = Policy(
            {v.name: 1 / len(of.variants) for v in of.variants}, dict.fromkeys((v.name for v in of.variants), 0.0)
        )
        print(_told("  random, itself, from the second day on", len(since), estimated((each, even) for each in since)))
        print(_told("  ours, learning day by day", len(by_day), estimated(by_day)))
        began = time.perf_counter()
        known = learned(theirs, of)
        took = max(took, time.perf_counter() - began)
        print(_told("  ours, knowing what theirs showed", len(log), estimated((each, known) for each in log)))
        most = sorted(known.shares.items(), key=lambda pair: -pair[1])[:3]
        print(f"{'    it shows most':42} {', '.join(f'item {item}: {100 * share:.0f} %' for item, share in most)}")
        assert abs(sum(known.shares.values()) - 1) < 1e-9
        rates = learned([*log, *theirs], of).rates
        mean, best = sum(rates.values()) / len(rates), max(rates.values())
        print(f"  simulated: random {100 * mean:.2f}, the best item {100 * best:.2f}; ours", end=" ")
        print(", ".join(simulated(rates, random.Random(1))))
    print(f"\nA posterior over the most items took {1000 * took:.0f} ms, counting included.")


if __name__ == "__main__":
    main()
