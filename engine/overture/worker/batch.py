"""What one commit of one partition holds: facts decided in order, and those that nothing can decide."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from overture.decide import Plan, step
from overture.model import Contact, Fact, Step, clock
from overture.model.errors import describe
from overture.model.script import Awaiting
from overture.state.checkpoint import Checkpoint
from overture.state.choices import Cell as ChoiceCell
from overture.state.choices import Counts as ChoiceCounts
from overture.state.contacts import TIMELINE, encode
from overture.state.funnel import Cell, Counts
from overture.state.ledger import Chain
from overture.state.positions import Stand, moved
from overture.state.samples import Near, Sample
from overture.worker.asking import RunScripts, decide_ahead, run_none
from overture.worker.decisions import decision
from overture.worker.impressions import shown
from overture.worker.partition import RECOVERED, Partition
from overture.worker.passages import passed
from overture.worker.plans import Plans

log = logging.getLogger("overture.worker")

SAMPLED_MS = 1_000  # between two facts of a partition that are looked at for near misses
NEAR = 20  # near misses noted at once
SLICE = 64  # facts decided before other tasks of this process get a turn
TURN = 0.05  # seconds after which they get one anyway: with one fact a thousand instants may have to be gone through
COMMIT_BYTES = 8 << 20  # of states, effects and messages in one commit, about
EFFECT_BYTES = 256  # of one effect in a timeline, about
INSTANT_BYTES = 18  # of one fact in a series, with its value
REMEMBERED_BYTES = 128  # of one fact that a join or a visit remembers, about, or of a variant that was shown
FEATURE_BYTES = 80  # of one feature in an example, with its name, about


@dataclass(frozen=True, slots=True)
class Erased:
    """A contact as it stood before it was erased, and the place of the fact that did it."""

    before: Contact
    step: Step
    place: tuple[str, int]


@dataclass(slots=True)
class Batch:
    """``after``: where the partition stands once this is committed. ``dead``: facts set aside, with the reason."""

    part: Partition
    after: Checkpoint
    steps: list[Step] = field(default_factory=list[Step])
    dead: list[tuple[Fact, str]] = field(default_factory=list[tuple[Fact, str]])
    positions: Counter[Stand] = field(default_factory=Counter[Stand])  # how many more stand at steps of journeys
    funnels: Counts = field(default_factory=Counter[Cell])  # what became of contacts on journeys
    choices: ChoiceCounts = field(default_factory=Counter[ChoiceCell])  # what contacts were shown by choices
    near: list[Near] = field(default_factory=list[Near])  # near misses, of a sample of the facts
    answers: list[tuple[str, dict[str, Any]]] = field(default_factory=list[tuple[str, dict[str, Any]]])  # by token
    chain: Chain = field(default_factory=Chain)  # where the consent ledger ends once this is committed
    erased: Erased | None = None  # then it is all that is in it

    def decided(self, step: Step, half_lives: Mapping[str, int]) -> None:
        """Take a step in. Who waits for a fact that is handed on is answered where it is decided."""
        self.steps.append(step)
        if (token := step.trace.fact.reply) and not step.forwards:
            self.answers.append((token, decision(step, half_lives)))

    def set_aside(self, fact: Fact, reason: str) -> None:
        self.dead.append((fact, reason))
        if fact.reply:
            self.answers.append((fact.reply, {"contact": fact.contact, "error": reason}))

    @property
    def facts(self) -> Iterator[Fact]:
        """Those decided, and those set aside."""
        yield from (step.trace.fact for step in self.steps)
        yield from (fact for fact, _ in self.dead)


async def decide_batch(part: Partition, facts: list[Fact], plans: Plans, run: RunScripts = run_none) -> Batch:
    """Decide facts in their order, with the states that the partition has at hand; not all, if a lot follows.

    ``run``: has scripts called. What does not ask any is decided without ever waiting for them.
    """
    batch = Batch(part, part.at)
    version = part.at.version
    now = clock.now()
    loop = asyncio.get_running_loop()
    place, turn = part.place, loop.time()
    taken = held = 0
    ahead: dict[int, Step | Exception] = {}  # of facts whose turn has not come
    for taken, fact in enumerate(facts, 1):
        if fact.type == "$activate":
            version = int(fact.properties["version"])
            part.plan = await plans.plan(version, part.plan.kind)
            continue
        contact = part.cache.get(fact.contact) or Contact(fact.contact)
        if not ahead:
            try:
                ahead[taken] = step(contact, fact, part.plan, now)
            except Awaiting:
                # Where no script can be asked at all, this raises: then nothing is decided, and it is tried again.
                found = await decide_ahead(part.cache, facts[taken - 1 :], part.plan, now, run)
                ahead = dict(enumerate(found, taken))
            except Exception as error:
                ahead[taken] = error
        try:
            outcome = _decided(ahead.pop(taken))
            held += _bytes(outcome)
        except Exception as error:
            log.exception("Fact %s cannot be decided", fact.id)
            batch.set_aside(fact, describe(error))
            continue
        if now - part.sampled >= SAMPLED_MS:
            part.sampled = now
            batch.near = _near_misses(contact, outcome, part.plan)
        if contact.journeys or outcome.contact.journeys:
            moved(batch.positions, contact, outcome.contact)
        if part.plan.journeys is not None or _journeyed(contact, fact, outcome.contact):
            _count(batch.funnels, contact, fact, outcome, part.plan)
        if contact.choices or outcome.contact.choices:
            shown(batch.choices, outcome)
        part.cache[fact.contact] = outcome.contact
        if outcome.erases:
            batch.erased = Erased(contact, outcome, place)
        batch.decided(outcome, part.plan.half_lives)  # of now: a later fact of the batch may bring another plan
        if held > COMMIT_BYTES:
            break
        if taken % SLICE == 0 or loop.time() - turn > TURN:
            await asyncio.sleep(0)
            turn = loop.time()
    part.limit = taken if taken < len(facts) else min(2 * part.limit, RECOVERED)
    batch.after = part.advance(taken, version)
    return batch


def _decided(outcome: Step | Exception) -> Step:
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def _journeyed(before: Contact, fact: Fact, after: Contact) -> bool:
    """Whether a fact may be about journeys although none is active any more."""
    return bool(before.journeys or after.journeys or before.waiting or after.waiting or "journey" in fact.properties)


def _count(counts: Counts, before: Contact, fact: Fact, outcome: Step, plan: Plan) -> None:
    """What is only counted stops no partition."""
    try:
        passed(counts, before, fact, outcome, plan)
    except Exception:
        log.exception("What fact %s did on journeys is not counted", fact.id)


def _near_misses(before: Contact, step: Step, plan: Plan) -> list[Near]:
    """As far as the contact tells as it was before the fact: what exactly the rules saw, the record knows."""
    fact, contact = step.trace.fact, before.copy()
    contact.clock = step.contact.clock
    fired = {firing.rule for firing in step.trace.firings}
    missed = ((r.id, failed) for r, failed in plan.near_misses.find(fact, contact) if r.id not in fired)
    return [(id, Sample(contact.id, fact.id, contact.clock, failed)) for id, failed in islice(missed, NEAR)]


def _bytes(step: Step) -> int:
    """About how many of a commit the outcome is, without the fact itself."""
    contact = step.contact
    told = step.moments[-TIMELINE:]
    size = contact.weight + EFFECT_BYTES * sum(1 + len(f.effects) for trace in told for f in trace.firings)
    if contact.history:
        size += INSTANT_BYTES * sum(len(series.at) for series in contact.history.values())
    if contact.examples:
        size += FEATURE_BYTES * sum(len(each.features) for found in contact.examples.values() for each in found)
    size += REMEMBERED_BYTES * len(contact.choices)
    if contact.joins or contact.sessions:
        kept = sum(len(part) for parts in contact.joins.values() for part in parts)
        size += REMEMBERED_BYTES * (kept + sum(len(session.events) for session in contact.sessions))
    if step.messages or step.forwards or step.records:
        size += len(encode(step.messages)) + len(encode(step.forwards)) + len(encode(step.records))
    return size
