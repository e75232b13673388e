"""One contact's recorded facts decided again, with what the rules saw on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from overture.decide import Plan
from overture.decide.asked import step_asking
from overture.model import Contact, Fact, Step, Trace
from overture.model.script import Ask, Call, Said
from overture.records.recorded import Recorded, Recording
from overture.rules.program import Program
from overture.rules.ruleset import Rule

Wanted = Callable[[Fact], bool]


class Sight(NamedTuple):
    """A fact as it was shown to the rules, posted or derived, and the contact as they saw it then."""

    fact: Fact
    contact: Contact


class Moment(NamedTuple):
    """One fact decided again. ``shown``: of what was shown to the rules on the way, what was wanted.

    On the way lie the instants at which something was due before it (``$tick``), and what was derived.
    """

    recorded: Recorded
    step: Step
    program: Program
    shown: list[Sight]

    def trace_of(self, id: str) -> Trace:
        """The trace that tells of a fact: its own, or that of the fact or instant which it was derived from."""
        told = [trace for trace in self.step.ticks if leads_to(trace.fact.id, id)]
        return told[-1] if told else self.step.trace


def leads_to(root: str, id: str) -> bool:
    """Whether an id is that of a fact or of one derived from it."""
    return id == root or id.startswith((f"{root}:", f"{root}~"))


class _Watched(Plan):
    """A plan that keeps what its matcher is asked about."""

    def __init__(self, program: Program, ask: Ask) -> None:
        super().__init__(program, "reference")
        self._ask = ask
        self._reference = self.matcher
        self.matcher = self
        self._wanted: Wanted = lambda _: False
        self._shown: list[Sight] = []

    def watch(self, fact: Fact, wanted: Wanted) -> list[Sight]:
        """What follows is about this fact; answers the list that what is wanted will be in."""
        # What no rule listens to is shown as well: what a rule would have seen is a fair question.
        self.types = self.program.types | {fact.type, "$tick"}
        self._wanted, self._shown = wanted, []
        return self._shown

    def asked(self, calls: Sequence[Call]) -> Sequence[Said]:
        """What scripts say; the fact is decided again with that, and what it is shown to until then was nothing."""
        self._shown.clear()
        return self._ask(calls)

    def match(self, fact: Fact, contact: Contact) -> list[Rule]:
        if self._wanted(fact):
            self._shown.append(Sight(fact, contact.copy()))
        return self._reference.match(fact, contact)


def replay(
    recording: Recording,
    contact: str,
    program_of: Callable[[int], Program],
    wanted: Callable[[Program, Fact], Wanted],
    ask: Ask,
) -> Iterator[Moment]:
    """Everything that was decided for the contact, oldest first, exactly as it was. Blocking.

    ``program_of`` answers the linked rulesets of a version of the active set. ``wanted(program, fact)`` says which of
    the facts that the rules are shown while ``fact`` is decided are to be kept. ``ask``: has scripts answer.
    """
    state = Contact(contact)
    plan = _Watched(program_of(0), ask)
    for recorded in recording.facts(contact):
        if plan.version != recorded.version:
            plan = _Watched(program_of(recorded.version), ask)
        shown = plan.watch(recorded.fact, wanted(plan.program, recorded.fact))
        outcome = step_asking(state, recorded.fact, plan, recorded.fact.accepted_at, plan.asked)
        yield Moment(recorded, outcome, plan.program, shown)
        state = outcome.contact
