"""Recorded facts decided twice, side by side: by the baseline and by the candidate, through the one pure step.

Each contact's facts are taken in their recorded order. Contacts do not depend on each other, with one exception: a
contact that became known took in what another was (``$link`` there, ``$merge`` here). What is taken in has to be what
each side made of the other contact, so a contact waits where that one has not been reached yet.
"""

from __future__ import annotations

from typing import Any

import msgspec

from overture.backtest.period import Period
from overture.backtest.report import Report
from overture.backtest.sides import Sides
from overture.backtest.spill import Backlog, Shelf, Spill
from overture.backtest.tally import BASELINE, CANDIDATE, SIDES, Tally, compare, given
from overture.decide import Plan
from overture.decide.asked import step_asking
from overture.decide.deploys import PROGRAM
from overture.decide.history import merged
from overture.model import Contact, Fact, Step
from overture.model.script import Ask, Call, Said, unavailable
from overture.model.series import Series

FAILURES = 5  # facts that could not be decided, told by name
AT_ONCE = 256  # facts taken from the backlog at once

_pack = msgspec.msgpack.Encoder().encode
_fact = msgspec.msgpack.Decoder(Fact).decode


class Pair(msgspec.Struct, array_like=True):
    """One contact on both sides. ``candidate`` is None until the period begins for it; ``made``: what only the
    candidate counts, of the facts before that. ``over``: the period has ended."""

    baseline: Contact
    candidate: Contact | None = None
    tally: Tally | None = None
    made: dict[str, Series] = {}
    over: bool = False


class Moved(msgspec.Struct, array_like=True):
    """A contact on its way into another: its state as ``$merge`` carries it, by side, and what it was given."""

    baseline: Any
    candidate: Any = None
    tally: Tally | None = None
    made: dict[str, Series] = {}


class Comparison:
    """Feed it every partition's facts in order, call `end_partition` after each, then `finish`.

    ``recorded``: the baseline is what was active at each fact's place, instead of what is active now. ``ask``: has
    scripts answer.
    """

    def __init__(
        self, sides: Sides, period: Period, spill: Spill, report: Report, ask: Ask = unavailable, *, recorded: bool
    ) -> None:
        self._ask = ask
        self._answers: dict[Call, Said] = {}  # of the fact at hand: what both sides ask is asked once
        self.report = report
        self.before = self.compared = self.after = 0  # facts
        self.failed = [0, 0]
        self.failures: list[dict[str, str]] = []
        self.rolled_back = [0, 0]
        self._sides = sides
        self._recorded = recorded
        self._now = sides.baseline(sides.version)
        self._period = period
        self._pairs = Shelf(spill, "pairs", Pair)
        self._waiting = Shelf(spill, "waiting", Pair)
        self._moved = Shelf(spill, "moved", Moved)
        self._backlog = Backlog(spill)
        self._version = sides.version  # at the place of the last fact
        self._awaited: dict[str, str] = {}  # contact → the one it takes in, which has not been reached yet
        self._patient = True

    def feed(self, fact: Fact, version: int) -> None:
        """Decide one fact, or put it where it waits for another contact."""
        name = fact.contact
        if name in self._awaited:
            self._backlog.add(name, version, _pack(fact))
            return
        pair = self._pairs.get(name)
        if pair is None:
            pair = Pair(Contact(name))
            self._pairs.put(name, pair)
        if not self._decide(pair, fact, version):
            self._pairs.pop(name)
            self._waiting.put(name, pair)
            self._awaited[name] = fact.properties["from"]
            self._backlog.add(name, version, _pack(fact))

    def end_partition(self) -> None:
        """No more facts of these contacts."""
        for name, pair in self._pairs.drain():
            self._end(name, pair)

    def finish(self) -> None:
        """Decide what waited, then end what is left. Of a contact whose `$link` is not in the record, both sides take
        what was recorded."""
        while self._awaited:
            ready = [name for name, source in self._awaited.items() if self._moved.get(source) is not None]
            self._patient = bool(ready)
            for name in ready or [next(iter(self._awaited))]:
                self._resume(name)
        for name, moved in self._moved.drain():
            # It was on its way when the period ended.
            states = [msgspec.convert(s, Contact) for s in (moved.baseline, moved.candidate) if s is not None]
            self._end(name, Pair(states[0], states[1] if len(states) > 1 else None, moved.tally, moved.made))

    def _resume(self, name: str) -> None:
        pair = self._waiting.pop(name)
        assert pair is not None
        del self._awaited[name]
        while rows := self._backlog.first(name, AT_ONCE):
            for n, version, blob in rows:
                fact = _fact(blob)
                if not self._decide(pair, fact, version):
                    self._backlog.done(name, n - 1)
                    self._waiting.put(name, pair)
                    self._awaited[name] = fact.properties["from"]
                    return
                self._patient = True
            self._backlog.done(name, rows[-1][0])
        self._end(name, pair)

    # --- one fact -----------------------------------------------------------------------------------------------

    def _decide(self, pair: Pair, fact: Fact, version: int) -> bool:
        """False where the fact has to wait."""
        at = max(pair.baseline.clock, fact.instant)
        if pair.over or at >= self._period.until:
            # Being woken or swept says nothing about the contact's next fact: history may still have been coming in.
            pair.over = pair.over or fact.type not in ("$tick", PROGRAM)
            self.after += 1
            return True
        self._version = version
        self._answers.clear()
        facts = (fact, fact)
        if fact.type == PROGRAM:
            # Deploys on the way are those of the recorded baseline; for all others time passes.
            passing = _tick(fact.contact, fact.instant)
            facts = (fact if self._recorded else passing, passing)
        elif fact.type == "$merge" and not pair.baseline.merged_into:  # or it is handed on, to be found there
            moved = self._moved.pop(fact.properties["from"])
            if moved is None and self._patient:
                return False
            if moved is not None:
                facts = self._take_in(pair, fact, moved)
        if pair.candidate is None and at >= self._period.since:
            self._begin(pair)
        if pair.candidate is None:
            self.before += 1
            done = self._step(BASELINE, pair.baseline, facts[BASELINE], self._plan())
            if done is not None:
                self._count(pair, fact)
                pair.baseline = done.contact
                self._leave(pair, fact, done, None)
        else:
            self.compared += 1
            self._both(pair, facts)
        return True

    def _both(self, pair: Pair, facts: tuple[Fact, Fact]) -> None:
        fact, tally, firings = facts[BASELINE], pair.tally, self.report.firings
        assert pair.candidate is not None
        assert tally is not None
        other = facts[CANDIDATE]
        if tally.lost and fact.type.startswith("message.") and fact.properties.get("message") in tally.lost:
            # What became of a message that only the baseline sent did not happen to the candidate; time passes.
            other = _tick(fact.contact, fact.instant)
        baseline = self._step(BASELINE, pair.baseline, fact, self._plan())
        candidate = self._step(CANDIDATE, pair.candidate, other, self._sides.candidate)
        if baseline is not None:
            pair.baseline = baseline.contact
        if candidate is not None:
            pair.candidate = candidate.contact
        gave = (
            given(baseline, firings, BASELINE) if baseline is not None else [],
            given(candidate, firings, CANDIDATE) if candidate is not None else [],
        )
        if gave[BASELINE] or gave[CANDIDATE]:
            compare(tally, *gave)
        if baseline is not None:
            self._leave(pair, fact, baseline, candidate)

    def _step(self, side: int, contact: Contact, fact: Fact, plan: Plan) -> Step | None:
        """As a worker does: a fact that cannot be decided is set aside and changes nothing."""
        try:
            done = step_asking(contact, fact, plan, fact.accepted_at, self._ask, self._answers)
        except Exception as error:
            self.failed[side] += 1
            if len(self.failures) < FAILURES:
                told = {"side": SIDES[side], "contact": fact.contact, "fact": fact.id, "error": type(error).__name__}
                self.failures.append(told)
            return None
        if done.trace.error or done.ticks:
            self.rolled_back[side] += sum(bool(trace.error) for trace in done.traces)
        return done

    def _plan(self) -> Plan:
        return self._sides.baseline(self._version) if self._recorded else self._now

    def _count(self, pair: Pair, fact: Fact) -> None:
        """Before the period: what the candidate will want to know of this fact, and nobody else."""
        if not pair.baseline.merged_into:
            for recorder in self._sides.fresh.get(fact.type, ()):
                clock = max(pair.baseline.clock, fact.instant)
                after = recorder.add(pair.made.get(recorder.id, Series()), fact, clock)
                if after is not None:
                    pair.made[recorder.id] = after

    def _begin(self, pair: Pair) -> None:
        """The period begins for a contact: from here on there are two of it. The candidate is deployed."""
        last = self._period.since - 1
        if 0 < pair.baseline.due <= last:
            done = self._step(BASELINE, pair.baseline, _tick(pair.baseline.id, last), self._plan())
            pair.baseline = done.contact if done is not None else pair.baseline
        pair.candidate, pair.tally, made, pair.made = pair.baseline, Tally(), pair.made, {}
        contact, plan = pair.baseline, self._sides.candidate
        if self._sides.same or not contact.seq or contact.merged_into:
            return
        told = {"version": plan.version, "of": contact.id, "series": msgspec.to_builtins(made)}
        at = self._period.since
        order = Fact(f"program:{plan.version}", PROGRAM, contact.id, at, at, told)
        done = self._step(CANDIDATE, contact, order, plan)
        if done is not None:
            pair.candidate = done.contact
            compare(pair.tally, [], given(done, self.report.firings, CANDIDATE))

    # --- links --------------------------------------------------------------------------------------------------

    def _leave(self, pair: Pair, fact: Fact, baseline: Step, candidate: Step | None) -> None:
        """After ``$link``: keep what the known contact takes in. Other facts handed on are in its own record."""
        if fact.type != "$link" or not baseline.forwards:
            return
        states = [done.forwards[0].properties["state"] for done in (baseline, candidate) if done and done.forwards]
        self._moved.put(fact.contact, Moved(states[0], states[1] if len(states) > 1 else None, pair.tally, pair.made))
        pair.made = {}
        if pair.tally is not None:
            pair.tally = Tally()

    def _take_in(self, pair: Pair, fact: Fact, moved: Moved) -> tuple[Fact, Fact]:
        """``$merge`` with what each side made of the other contact."""
        if moved.candidate is not None and pair.candidate is None:
            self._begin(pair)
        if moved.tally is not None and pair.tally is not None:
            pair.tally.absorb(moved.tally)
        if pair.candidate is None:
            for id, series in moved.made.items():
                pair.made[id] = merged(pair.made.get(id, Series()), series)
        sides = (moved.baseline, moved.candidate if moved.candidate is not None else moved.baseline)
        baseline, candidate = (
            msgspec.structs.replace(fact, properties={**fact.properties, "state": state}) for state in sides
        )
        return baseline, candidate

    def _end(self, name: str, pair: Pair) -> None:
        """The period ends for a contact; one that became part of another is told as that."""
        if pair.baseline.merged_into or not pair.baseline.seq:  # or came later
            return
        last = self._period.until - 1
        if pair.candidate is None and not self._sides.same:
            self._begin(pair)  # a deploy reaches everybody
        if any(side is not None and 0 < side.due <= last for side in (pair.baseline, pair.candidate)):
            if pair.candidate is None:
                self._begin(pair)
            tick = _tick(name, last)
            self._both(pair, (tick, tick))
        if pair.candidate is None:
            self.report.same(pair.baseline)
        else:
            assert pair.tally is not None
            self.report.add(pair.baseline, pair.candidate, pair.tally)


def _tick(contact: str, at: int) -> Fact:
    """What has a contact decide all that is due up to an instant."""
    return Fact(f"tick:{at}", "$tick", contact, at, at)
