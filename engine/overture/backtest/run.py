"""One backtest from its specification to its files. Reads the store's log and registry; writes nothing but its own
directory."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from overture.backtest.comparison import Comparison
from overture.backtest.job import Job, Progress
from overture.backtest.period import Bound, Period, bound, period
from overture.backtest.report import Report, Scores, encode
from overture.backtest.sides import Sides, read_versions
from overture.backtest.spill import Spill
from overture.backtest.tally import SIDES
from overture.model import Contact
from overture.model.artefact import Artefact
from overture.model.clock import to_text
from overture.model.decay import all_scores, ranking
from overture.plugin.manager import PluginManager
from overture.records import Recorded, Recording
from overture.rules import Program
from overture.rules.ruleset import half_lives_of
from overture.sandbox.lanes import Lanes
from overture.state.registry import Activation, NamedRevision, Registry
from overture.state.wire import Wire

TOLD_EVERY = 0.25  # seconds between two looks at whether to go on
LOOK_EVERY = 500  # facts between two looks at the time


class Spec(msgspec.Struct, frozen=True):
    """Everything that a backtest is of. ``directory`` is the job's own; ``candidates``: documents by ruleset;
    ``allowed``: the distributions whose plugins may be imported, None: all.
    """

    directory: str
    store: str
    archive: str
    partitions: int
    version: int
    candidates: dict[str, str]
    since: str = ""
    until: str = ""
    baseline: Literal["active", "recorded"] = "active"
    allowed: list[str] | None = None
    script_timeout_ms: int = 50


class Cancelled(Exception):
    """Somebody asked to stop, or the job is gone."""


@dataclass(slots=True)
class Record:
    """All partitions' recordings, and what a first reading told. ``last``: when the last fact took effect; without
    Overture's own, unless the baseline is what was recorded."""

    recordings: list[Recording]
    versions: dict[int, Activation]
    texts: dict[NamedRevision, str]
    artefacts: dict[str, Artefact]
    facts: int
    last: int


def backtest(spec: Spec) -> None:
    """Run it. Raises Refused (the period, a lost text), StoreUnavailable, RulesetInvalid, `Cancelled`."""
    job = Job(Path(spec.directory))
    pace = _Pace(job)
    since, until = (_bound(text, name) for text, name in ((spec.since, "since"), (spec.until, "until")))
    record = asyncio.run(_read(spec, pace))
    within = period(since, until, record.last)
    recorded = spec.baseline == "recorded"
    plugins = PluginManager(spec.allowed)
    plugins.load()
    told = record.versions, record.texts, spec.version, spec.candidates
    sides = Sides(*told, recorded=recorded, pure=plugins.pure(), artefacts=record.artefacts)
    last = within.until - 1
    programs = (sides.baseline(sides.version).program, sides.candidate.program)
    report = Report(*(scores_at(program, last) for program in programs))
    spill, lanes = Spill(job.spill), Lanes(1, spec.script_timeout_ms)
    try:
        comparison = Comparison(sides, within, spill, report, lanes.run_now, recorded=recorded)
        pace.of = record.facts
        for recording in record.recordings:
            for recorded in pace.through(recording.facts()):
                comparison.feed(recorded.fact, recorded.version)
            comparison.end_partition()
        comparison.finish()
        pace.finish()
    finally:
        lanes.close()
        spill.close()
        job.spill.unlink()
    with job.contacts.open("wb") as file:
        for line in report.details():
            file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())
    job.write("summary.json", encode(_summary(spec, record, sides, comparison, within)))


def scores_at(program: Program, at: int) -> Scores:
    """Reads the scores of contacts as this program has them at an instant."""
    half_lives = half_lives_of(program.scores)

    def read(contact: Contact) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, score in all_scores(contact, half_lives, at).items():
            if isinstance(score, dict):
                found.update((ranking(name, key), value) for key, value in score.items())
            else:
                found[name] = score
        return found

    return read


async def _read(spec: Spec, pace: _Pace) -> Record:
    """Fix the end of the record, and read it once: how much it is, how far it goes, which versions it needs."""
    wire = await Wire.connect(spec.store)
    try:
        archive = Path(spec.archive)
        recordings = [await Recording.open(wire, archive, p) for p in range(spec.partitions)]
        facts, last, versions = 0, 0, {spec.version}
        for recording in recordings:
            version = -1
            for recorded in pace.through(recording.facts()):
                fact = recorded.fact
                facts += 1
                if recorded.version != version:
                    version = recorded.version
                    versions.add(version)
                if spec.baseline == "recorded" or not fact.type.startswith("$"):
                    last = max(last, fact.instant)
        wanted = versions if spec.baseline == "recorded" else {spec.version}
        registry = Registry(wire, spec.partitions)
        by, texts, artefacts = await read_versions(registry, wanted)
        return Record(recordings, by, texts, artefacts, facts, last)
    finally:
        await wire.close()


class _Pace:
    """Goes through facts, tells the job how far it is, and stops where that is asked."""

    def __init__(self, job: Job) -> None:
        self.of = 0
        self._job = job
        self._facts = 0
        self._told = 0.0
        self._tell()

    def through(self, facts: Iterator[Recorded]) -> Iterator[Recorded]:
        for n, recorded in enumerate(facts, 1):
            yield recorded
            if n % LOOK_EVERY == 0:
                self._facts += LOOK_EVERY if self.of else 0
                if time.monotonic() - self._told >= TOLD_EVERY:
                    self._tell()

    def finish(self) -> None:
        self._facts = self.of
        self._tell()

    def _tell(self) -> None:
        if self._job.cancelled:
            raise Cancelled
        self._told = time.monotonic()
        self._job.tell(Progress(self._facts, self.of))


def _bound(text: str, name: str) -> Bound | None:
    return bound(text, name) if text else None


def _summary(spec: Spec, record: Record, sides: Sides, comparison: Comparison, within: Period) -> dict[str, Any]:
    rulesets = record.versions[sides.version].rulesets
    return {
        "period": {"since": to_text(within.since), "until": to_text(within.until)},
        "baseline": {"mode": spec.baseline, "version": sides.version, "rulesets": rulesets},
        "candidate": {"rulesets": {n: r.revision for n, r in sides.candidate.program.rulesets.items()}},
        "facts": {
            "before": comparison.before,
            "compared": comparison.compared,
            "missing_entries": sum(recording.missing for recording in record.recordings),
            "failed": dict(zip(SIDES, comparison.failed, strict=True)),
            "rolled_back": dict(zip(SIDES, comparison.rolled_back, strict=True)),
        },
        "failures": comparison.failures,
        **comparison.report.summary(),
    }
