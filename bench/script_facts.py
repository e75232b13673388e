"""`python -m bench.script_facts [--json]`: facts decided a second where each asks a script of ten lines, beside the
same rule as conditions.

The worker's own batches over contacts of 2 KB, from their states to the steps, without the store; the two take turns in
one process, with the scripts' workers beside it. The script says what the conditions say: both leave the same contacts.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time

import msgspec
from rich.console import Console
from rich.table import Table

from overture.decide import Plan
from overture.model import Contact, Fact
from overture.rules import link, load
from overture.sandbox.lanes import Lanes
from overture.state.checkpoint import Checkpoint
from overture.state.lease import Lease
from overture.worker.asking import RunScripts
from overture.worker.batch import decide_batch
from overture.worker.partition import Partition
from overture.worker.plans import Plans

FACTS, BATCH, ROUNDS, CONTACTS = 10_240, 512, 5, 2_048
HEAD = """\
apiVersion: overture/v1
kind: Ruleset
name: bench
facts: {viewed: {seconds: int, path: string}}
traits: {plan: string, seats: int, level: "string?"}
scores: {fit: {}}
"""
CONDITIONS = """\
rules:
  long: {when: fact.type == "viewed" and fact.seconds > 20, then: [{score: {name: fit, add: 3}}]}
  team:
    when: fact.type == "viewed" and contact.plan == "free" and contact.seats >= 10
    then: [{score: {name: fit, add: 5}}]
  pricing: {when: 'fact.type == "viewed" and fact.path.startswith("/pricing")', then: [{score: {name: fit, add: 7}}]}
"""
SCRIPT = """\
scripts:
  fit:
    changes: {score: fit}
    code: |
      def main(fact, contact):
          points = 0
          traits = contact["traits"]
          if fact["seconds"] > 20:
              points += 3
          if traits["plan"] == "free" and traits["seats"] >= 10:
              points += 5
          if fact["path"].startswith("/pricing"):
              points += 7
          return {"score": {"fit": points}} if points else None
rules:
  fit: {when: fact.type == "viewed", then: [{run: fit}]}
"""
NARROW = SCRIPT.replace("    changes:", "    takes: [fact, contact.traits.plan, contact.traits.seats]\n    changes:")
ROWS = {
    "the rule as conditions": CONDITIONS,
    "a script, given the whole contact": SCRIPT,
    "a script, given the two traits it reads": NARROW,
}
FILL = {f"trait_{n}": f"value {n} of a contact that is known well" for n in range(40)}


def contact(n: int) -> Contact:
    return Contact(f"c{n}", traits={"plan": "free" if n % 2 else "team", "seats": n % 20, **FILL})


def facts() -> list[Fact]:
    paths = ("/pricing/team", "/docs", "/blog/what-is-new")
    return [
        Fact(f"f{n}", "viewed", f"c{n % CONTACTS}", at, at, {"seconds": n % 40, "path": paths[n % 3]})
        for n in range(FACTS)
        for at in (1_800_000_000_000 + n,)
    ]


async def decided(text: str, run: RunScripts) -> tuple[float, dict[str, float]]:
    """Facts a second, and the scores that are left."""
    plan = Plan(link([load(HEAD + text)], 1))
    plans = Plans.__new__(Plans)  # asked for another plan by an activation only, and there is none
    part = Partition(Lease(0, 1), "", Checkpoint("0-0", 0, 1), plan)
    part.cache.update((each.id, each) for each in map(contact, range(CONTACTS)))
    all_facts = facts()
    part.pending.append(("1-0", all_facts, 200 * len(all_facts)))
    began = time.perf_counter()
    while ahead := part.ahead(BATCH):
        batch = await decide_batch(part, ahead, plans, run)
        assert not batch.dead
        part.at = batch.after
    took = time.perf_counter() - began
    return len(all_facts) / took, {id: float(each.scores.get("fit", 0)) for id, each in part.cache.items()}  # type: ignore[arg-type]


async def measured() -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in ROWS}
    with Lanes(max(1, (os.cpu_count() or 2) - 1), 1000) as lanes:
        for turn in range(ROUNDS + 1):
            ends: list[dict[str, float]] = []
            for name, text in ROWS.items():
                rate, scores = await decided(text, lanes.run)
                ends.append(scores)
                if turn:  # the first is to warm up
                    found[name].append(rate)
            assert ends[0] == ends[1] == ends[2], "the script says what the conditions say"
    return {name: statistics.median(rates) for name, rates in found.items()}


def main() -> None:
    rates = asyncio.run(measured())
    size = len(msgspec.msgpack.encode(contact(1)))
    if "--json" in sys.argv:
        print(json.dumps({"contact_bytes": size, **rates}))
        return
    table = Table(title=f"Facts decided a second, contacts of {size} bytes, median of {ROUNDS}")
    for column in ("what each fact asks", "facts/s", "µs a fact", "times as long"):
        table.add_column(column, justify="left" if column.startswith("what") else "right")
    first = next(iter(rates.values()))
    for name, rate in rates.items():
        table.add_row(name, f"{rate:,.0f}", f"{1e6 / rate:.0f}", f"{first / rate:.1f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
