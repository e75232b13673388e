"""A past to test backtests on: facts decided here as workers decide them, recorded as they record them."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from overture.backtest.job import Job
from overture.backtest.run import Spec, backtest
from overture.decide import Plan, step
from overture.decide.rebuilding import Rebuilding
from overture.model import Contact, Fact, Message, Step
from overture.model.ids import partition_of
from overture.rules import Ruleset, link, load
from overture.rules.redeploy import finishing
from overture.rules.series import keeps, since
from overture.state import keys
from overture.state.archive import ArchiveWriter
from overture.state.log import pack_entry
from overture.state.registry import Activation, Registry
from overture.state.wire import Wire

PARTITIONS = 4
DAY = 86_400_000
START = 1_767_225_600_000  # 2026-01-01

SCORING = """\
apiVersion: overture/v1
kind: Ruleset
name: scoring
requires: {channels: [email]}
facts:
  bought: {total: number, item: string}
  looked: {path: string}
  asked: {}
traits: {tier: "string?"}
scores:
  spend: {}
  interest: {per: item}
lists:
  news: {}
segments:
  big:
    when: contact.scores.spend >= 100
    on_enter: [{send: {channel: email, template: hello, purpose: transactional}}]
rules:
  spend:
    when: fact.type == "bought"
    then:
      - score: {name: spend, add: = fact.total}
      - score: {name: interest, add: 1}
  tier:
    when: fact.type == "bought" and fact.total >= 50
    then:
      - set: {tier: gold}
      - list: {add: news}
      - issue: {kind: voucher}
  ask:
    when: fact.type == "asked"
    then:
      - send: {channel: email, template: hello, purpose: marketing}
templates:
  hello: {subject: Hello, text: Hello}
"""


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """A document with some of its words changed, each of them there."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


TIMED = replaced(
    SCORING,
    ("templates:\n", "templates:\n  busy: {subject: Hello, text: Hello}\n"),
    ("lists:\n", "  heat: {decay: {half_life: 6h}}\nlists:\n"),
    ("add: 1}\n", "add: 1}\n      - score: {name: heat, add: 10}\n"),
    ("rules:\n", """\
  hot:
    when: contact.scores.heat >= 30
  busy:
    when: count("bought", within="5h") >= 3
    on_enter: [{send: {channel: email, template: busy, purpose: marketing}}]
    on_leave: [{issue: {kind: back}}]
rules:
"""),
)  # fmt: skip


def plan_of(*texts: str, version: int = 1, before: Plan | None = None) -> Plan:
    """``before``: the plan that is active until then."""
    program = link([load(text) for text in texts], version)
    rows = before.program.since if before else {}
    return Plan(replace(program, since=since(keeps(program.series), rows, version)), "reference")


class Live:
    """Decides facts in the order posted; what is handed on is decided at once. ``plan_for`` chooses by contact and
    instant."""

    def __init__(self, plan_for: Callable[[str, int], Plan]) -> None:
        self.logs: dict[int, list[list[Fact]]] = defaultdict(list)
        self.order: list[tuple[int, list[Fact]]] = []  # (partition, entry) as they came
        self.states: dict[str, Contact] = {}
        self.steps: list[Step] = []
        self._plan_for = plan_for

    def post(self, *facts: Fact) -> None:
        for fact in facts:
            self._post(fact)

    def link(self, weaker: str, into: str, at: int) -> None:
        """What a fact that presents both identifiers sets off."""
        self._post(Fact(f"$link:{weaker}:{into}", "$link", weaker, at, at, {"into": into}))

    def wake(self, at: int) -> None:
        """What a worker does for those of whom something is due."""
        for name, contact in list(self.states.items()):
            if 0 < contact.due <= at:
                self._post(Fact(f"tick:{contact.due}", "$tick", name, contact.due, at))

    def sweep(self, plan: Plan, at: int) -> None:
        """What workers do for everybody after an activation, with what recorded facts say."""
        program = plan.program
        making = Rebuilding(program, program.since)
        for done in self.steps:
            fact = done.trace.fact
            if not done.forwards and not fact.type.startswith("$"):
                name = self.root(done.contact.id)
                making.show(name, fact, 1, self.states[name].clock)
        for name in list(self.contacts):
            series = msgspec.to_builtins(dict(making.of(name)))
            told = {"version": plan.version, "of": name, "series": series}
            self._post(Fact(f"program:{plan.version}", "$program", name, at, at, told))

    def root(self, name: str) -> str:
        """The contact that took this one in."""
        while self.states[name].merged_into:
            name = self.states[name].merged_into
        return name

    def activate(self, version: int, at: int) -> None:
        for p in range(PARTITIONS):
            self.order.append((p, [Fact(f"$activate:{version}", "$activate", "", at, at, {"version": version})]))

    def _post(self, fact: Fact) -> None:
        self.order.append((partition_of(fact.contact, PARTITIONS), [fact]))
        contact = self.states.get(fact.contact) or Contact(fact.contact)
        at = max(contact.clock, fact.instant)
        done = step(contact, fact, self._plan_for(fact.contact, at), at)
        self.states[fact.contact] = done.contact
        self.steps.append(done)
        for onward in done.forwards:
            self._post(onward)

    @property
    def messages(self) -> list[Message]:
        return [message for done in self.steps for message in done.messages]

    @property
    def contacts(self) -> dict[str, Contact]:
        return {name: state for name, state in self.states.items() if not state.merged_into}


class Past:
    """The record of a `Live` in a store and an archive, and backtests of it."""

    def __init__(self, store_url: str, directory: Path) -> None:
        self.url = store_url
        self.directory = directory
        self._jobs = 0

    def record(self, live: Live, *sets: tuple[str, ...]) -> None:
        """``sets``: the documents of version 1, 2, …; the last is active now. May be called again with more facts."""
        asyncio.run(self._record(live, sets))

    async def _record(self, live: Live, sets: tuple[tuple[str, ...], ...]) -> None:
        wire = await Wire.connect(self.url)
        try:
            registry = Registry(wire, PARTITIONS)
            before: list[Ruleset] = []
            for version, texts in enumerate(sets):
                revisions = {}
                active = {ruleset.name: ruleset for ruleset in map(load, texts)}
                older = [(each.name, each.revision) for each in finishing(before, active)]
                before += active.values()
                for text in texts:
                    ruleset = load(text)
                    await registry.put(ruleset.name, ruleset.revision, text, START)
                    revisions[ruleset.name] = ruleset.revision
                if await registry.version() == version:
                    series = link([load(text) for text in texts], version + 1).series
                    rows = since(keeps(series), (await registry.activation(version)).series, version + 1)
                    await registry.activate(version, Activation(revisions, rows, older), START)
            for p in range(PARTITIONS):
                await wire.call("DEL", keys.log(p))
                entries = [(f"{n}-0", pack_entry(facts)) for n, (q, facts) in enumerate(live.order, 1) if q == p]
                if entries:
                    writer = ArchiveWriter(self.directory / "archive", p, 1)
                    writer.append(entries)
                    writer.close()
                    await wire.call("SET", keys.checkpoint(p), f"{entries[-1][0]}/0/{len(sets)}")
        finally:
            await wire.close()

    def job(self) -> Job:
        self._jobs += 1
        job = Job(self.directory / "backtests" / f"bt-{self._jobs:08x}")
        job.directory.mkdir(parents=True)
        return job

    def spec(self, job: Job, *candidates: str, version: int = 1, **period: Any) -> Spec:
        return Spec(
            directory=str(job.directory),
            store=self.url,
            archive=str(self.directory / "archive"),
            partitions=PARTITIONS,
            version=version,
            candidates={load(text).name: text for text in candidates},
            **period,
        )

    def backtest(self, *candidates: str, **period: Any) -> Answer:
        job = self.job()
        backtest(self.spec(job, *candidates, **period))
        return Answer(job)


class Answer:
    """What a backtest left in its directory."""

    def __init__(self, job: Job) -> None:
        self.files = {path.name: path.read_bytes() for path in job.directory.iterdir()}
        self.summary: dict[str, Any] = json.loads(self.files["summary.json"])
        lines = self.files["contacts.ndjson"].splitlines()
        self.contacts: dict[str, Any] = {d["contact"]: d for d in map(json.loads, lines)}
        self.order = [json.loads(line)["contact"] for line in lines]


def bought(id: str, contact: str, total: float, at: int, item: str = "tea", **more: Any) -> Fact:
    return Fact(id, "bought", contact, at, at, {"total": total, "item": item}, **more)


def by_side(baseline: Any, candidate: Any) -> dict[str, Any]:
    return {"baseline": baseline, "candidate": candidate}
