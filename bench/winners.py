"""How often a split finds a winner among equals, and how many contacts it takes where one way is better.

    python -m bench.winners [--runs 400]

Each run sends contacts one of two or three ways at random and looks after every 20 of them, as an impatient person
would. Beside `overture.model.evidence` stands what such a person does without it: a z-test at 95 %, looked at as often.
"""

from __future__ import annotations

import argparse
import random
from math import sqrt

from overture.model.evidence import Count, lead

EVERY = 20  # contacts between two looks
ASKED = 0.95


def run(rates: list[float], most: int, dice: random.Random) -> tuple[tuple[str, int], tuple[str, int]]:
    """(way, after how many contacts) by the evidence, and by the z-test; an empty way where none was found."""
    names = [str(i) for i in range(len(rates))]
    weights = dict.fromkeys(names, 1)
    x, n = dict.fromkeys(names, 0), dict.fromkeys(names, 0)
    found, by_z = ("", most), ("", most)
    for i in range(1, most + 1):
        way = dice.choice(names)
        n[way] += 1
        x[way] += dice.random() < rates[int(way)]
        if i % EVERY:
            continue
        if not found[0]:
            ahead = lead({name: Count(x[name], n[name]) for name in names}, weights)
            if ahead is not None and ahead.certainty >= ASKED:
                found = ahead.way, i
        if not by_z[0] and min(n.values()) >= 30:
            best = max(names, key=lambda name: x[name] / n[name])
            if all(_z(x[best], n[best], x[name], n[name]) > 1.96 for name in names if name != best):
                by_z = best, i
        if found[0] and by_z[0]:
            break
    return found, by_z


def _z(xa: int, na: int, xb: int, nb: int) -> float:
    p = (xa + xb) / (na + nb)
    spread = sqrt(p * (1 - p) * (1 / na + 1 / nb))
    return (xa / na - xb / nb) / spread if spread else 0.0


def median(values: list[int]) -> int:
    return sorted(values)[len(values) // 2] if values else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=400, help="of each row")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    dice = random.Random(args.seed)
    rows = [
        ([0.05, 0.05], 10_000), ([0.3, 0.3], 10_000), ([0.1, 0.1, 0.1], 10_000),
        ([0.05, 0.06], 40_000), ([0.1, 0.12], 20_000), ([0.1, 0.15], 10_000), ([0.02, 0.04], 10_000),
        ([0.1, 0.1, 0.15], 15_000),
    ]  # fmt: skip
    print(f"{args.runs} runs a row, a look after every {EVERY} contacts, certainty {ASKED:g}")
    print(f"{'rates':<18}{'at most':>8}  {'found':>6}{'wrong':>7}{'contacts':>10}   z-test: {'found':>6}{'wrong':>7}")
    for rates, most in rows:
        runs = [run(rates, most, dice) for _ in range(args.runs)]
        best = str(rates.index(max(rates))) if rates.count(max(rates)) == 1 else None
        told: list[str] = []
        for which in (0, 1):
            found = [each[which] for each in runs if each[which][0]]
            wrong = sum(way != best for way, _ in found)
            told.append(f"{len(found) / args.runs:>6.1%}{wrong / args.runs:>7.1%}")
            if which == 0:
                told[0] += f"{median([n for _, n in found]) if best else '':>10}"
        named = " ".join(f"{rate:.0%}" for rate in rates)
        print(f"{named:<18}{most:>8}  {told[0]}           {told[1]}", flush=True)


if __name__ == "__main__":
    main()
