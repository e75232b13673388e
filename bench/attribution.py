"""All models of attribution over the 10,000 paths of the package mta (in the extra `dev`), held against others' ways.

    python -m bench.attribution

Markov: the removal effects of the same chain by numpy's dense solver, one system for each channel that is removed, over
the transition matrix that mta makes; random walks through it; what mta's own ``markov`` makes of it. Shapley: mta's
own, and both games by Harsanyi's dividends of all 4,096 coalitions. First, last, linear, position: mta's own. What must
be equal and is not makes the exit code 1.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from mta.mta import MTA

from overture.attribution import MODELS, Path, Tuning, attribute

WALKS = 2_000_000  # of the simulation, for each channel
CLOSE = 1e-9
DAY = 86_400_000.0
ORDERS = (1, 2, 3)
Given = Mapping[str, float]


def mta(**more: Any) -> MTA:
    with contextlib.redirect_stdout(io.StringIO()):
        return MTA(add_timepoints=False, **more)


def paths(data: MTA) -> Iterator[Path]:
    """Touches a day apart, as the data has no times; touches alike right after each other are one."""
    for row in data.data.itertuples():
        touches = tuple(row.path)
        ages = tuple(DAY * n for n in range(len(touches), 0, -1))
        worth = float(row.total_conversion_value)
        yield Path(touches, ages, float(row.total_conversions), worth, float(row.total_null))


def theirs(data: MTA, name: str, **more: Any) -> Given:
    """What a method of mta's gives, not normalised."""
    with contextlib.redirect_stdout(io.StringIO()):
        before = set(data.attribution)
        getattr(data, name)(normalize=False, **more)
    (key,) = set(data.attribution) - before or {name}
    return {channel: float(x) for channel, x in data.attribution[key].items()}


def chain(data: MTA) -> tuple[list[str], Any, Any]:
    """mta's transition matrix as one: start and channels among each other, and to a conversion."""
    found = data.transition_matrix()
    names = [data.START, *data.channels]
    inside = np.array([[found.get((a, b), 0.0) for b in names] for a in names])
    return names, inside, np.array([found.get((a, data.CONV), 0.0) for a in names])


def dense(data: MTA, conversions: float) -> Given:
    """Removal effects by solving one linear system a channel."""
    names, inside, converts = chain(data)

    def probability(without: int | None) -> float:
        kept = [i for i in range(len(names)) if i != without]
        q = inside[np.ix_(kept, kept)]
        return float(np.linalg.solve(np.eye(len(kept)) - q, converts[kept])[0])

    whole = probability(None)
    return shared({names[i]: 1 - probability(i) / whole for i in range(1, len(names))}, conversions)


def walked(data: MTA, conversions: float) -> Given:
    """Removal effects by random walks: which of those that convert come to a channel on the way."""
    names, inside, converts = chain(data)
    dice, n = np.random.default_rng(1), len(names)
    ends = np.hstack([inside, converts[:, None], 1 - inside.sum(1, keepdims=True) - converts[:, None]]).cumsum(1)
    at, seen = np.zeros(WALKS, int), np.zeros((WALKS, n), bool)
    under_way = np.arange(WALKS)
    converted = np.zeros(WALKS, bool)
    while len(under_way):
        to = (dice.random((len(under_way), 1)) > ends[at[under_way], : n + 1]).sum(1)
        converted[under_way[to == n]] = True
        under_way, to = under_way[to < n], to[to < n]
        at[under_way] = to
        seen[under_way, to] = True
    return shared({names[i]: seen[converted, i].mean() for i in range(1, n)}, conversions)


def dividends(data: MTA, *, rate: bool) -> Given:
    """Shapley values from what each coalition adds to all that are part of it, shared equally among its players."""
    players = {channel: i for i, channel in enumerate(data.channels)}
    n = len(players)
    worth, of = np.zeros(1 << n), np.zeros(1 << n)
    for row in data.data.itertuples():
        mask = sum({1 << players[channel] for channel in row.path})
        worth[mask] += row.total_conversions
        of[mask] += row.total_conversions + row.total_null
    masks = np.arange(1 << n)
    for each in (worth, of):
        for i in range(n):
            inside = masks[masks >> i & 1 == 1]
            each[inside] += each[inside ^ (1 << i)]
    total = of[-1]
    if rate:
        worth = np.divide(worth, of, out=np.zeros_like(worth), where=of > 0) * total
    for i in range(n):
        inside = masks[masks >> i & 1 == 1]
        worth[inside] -= worth[inside ^ (1 << i)]
    sizes = np.array([max(1, int(mask).bit_count()) for mask in masks])
    return {channel: float((worth / sizes)[masks >> i & 1 == 1].sum()) for channel, i in players.items()}


def shared(effects: Given, conversions: float) -> Given:
    whole = sum(effects.values())
    return {channel: conversions * effect / whole for channel, effect in effects.items()}


def apart(a: Given, b: Given) -> float:
    """The largest difference, as a part of all conversions."""
    whole = sum(a.values())
    return max(abs(a.get(name, 0.0) - b.get(name, 0.0)) for name in {*a, *b}) / whole


def main() -> None:
    data = mta()
    all_paths = list(paths(data))
    conversions = sum(path.conversions for path in all_paths)
    value = sum(path.value for path in all_paths)
    began = time.perf_counter()
    found = attribute(all_paths, MODELS, Tuning())
    took = time.perf_counter() - began
    given: dict[str, dict[str, float]] = {}
    good = True
    for name, credits in found.items():
        assert not isinstance(credits, Exception), credits
        given[name] = {label: credit.conversions for label, credit in credits.items()}
        worth = sum(credit.value for credit in credits.values())
        good &= abs(sum(given[name].values()) - conversions) <= CLOSE * conversions
        good &= abs(worth - value) <= CLOSE * value
    nulls = sum(path.nulls for path in all_paths)
    print(f"{conversions:,.0f} conversions worth {value:,.2f}, {nulls:,.0f} paths to nothing, {took:.2f} s\n")
    names = list(given)
    print(f"{'':10}" + "".join(f"{name:>13}" for name in names))
    for channel in data.channels:
        print(f"{channel:10}" + "".join(f"{given[name].get(channel, 0):13.3f}" for name in names))
    print(f"{'sum':10}" + "".join(f"{sum(given[name].values()):13.3f}" for name in names))
    print(f"\nall sums are the conversions, and their values the value, to {CLOSE:g}: {good}\n")

    equal = [
        ("first", "mta first_touch", theirs(data, "first_touch")),
        ("last", "mta last_touch", theirs(data, "last_touch")),
        ("linear", "mta linear, share=proportional", theirs(data, "linear", share="proportional")),
        ("position", "mta position_based", theirs(data, "position_based")),
        ("markov", "numpy: mta's transition matrix, a dense solve a channel", dense(data, conversions)),
        ("shapley", "mta shapley", theirs(data, "shapley")),
        ("shapley", "mta linear, share=same: what that game comes to", theirs(data, "linear")),
        ("shapley", "dividends of all coalitions", dividends(data, rate=False)),
        ("shapley_rate", "dividends of all coalitions", dividends(data, rate=True)),
    ]
    print("largest difference, as a part of all conversions; these must be equal:")
    for name, other, credits in equal:
        difference = apart(given[name], credits)
        good &= difference <= CLOSE
        print(f"  {name:13} {other:58} {difference:.1e}")
    print("and these are other things:")
    unlike = [
        ("markov", f"{WALKS:,} random walks: their chance", walked(data, conversions)),
        (
            "markov",
            "mta markov: sums the probability of recorded paths only",
            shared(theirs(data, "markov"), conversions),
        ),
        ("decay", "mta time_decay: parts 1, 2, 3 … by rank, not by time", theirs(data, "time_decay")),
    ]
    for name, other, credits in unlike:
        print(f"  {name:13} {other:58} {apart(given[name], credits):.1e}")
    for order in ORDERS[1:]:
        began = time.perf_counter()
        credits = attribute(all_paths, ["markov"], Tuning(order=order))["markov"]
        assert not isinstance(credits, Exception), credits
        by = {label: credit.conversions for label, credit in credits.items()}
        took = time.perf_counter() - began
        good &= abs(sum(by.values()) - conversions) <= CLOSE * conversions
        print(f"  {'markov':13} {f'of order {order}, {took:.2f} s':58} {apart(given['markov'], by):.1e}")
    print("\neverything that must be equal is" if good else "\nSOMETHING IS NOT EQUAL THAT MUST BE")
    sys.exit(not good)


if __name__ == "__main__":
    main()
