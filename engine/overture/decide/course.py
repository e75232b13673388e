"""A journey compiled: what its steps do, and until when they wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from math import ceil
from typing import Any

from overture.decide.actions import Act, compile_action
from overture.decide.work import is_finite
from overture.match import compile_condition, compile_value
from overture.match.calendar import add_days, next_local
from overture.match.clock import NextChange, compile_next_change
from overture.match.zone import LATEST, zone_of
from overture.model import Contact, Fact
from overture.model.ids import digest
from overture.rules.clocked import comes_by_time, unsolvable
from overture.rules.journey import Branch, Do, Journey, JourneyStep, Split, Wait, Way, awaits
from overture.rules.program import Program
from overture.rules.reach import reads
from overture.rules.routes import asked_at_once
from overture.rules.tree import Node

Test = Callable[[Fact, Contact], bool]
Get = Callable[[Fact, Contact], Any]
NOTHING = Fact("", "$tick", "", 0, 0)
"""What conditions are shown that are asked what time alone will change."""


@dataclass(frozen=True, slots=True)
class Acting:
    acts: tuple[Act, ...]
    next: str


@dataclass(frozen=True, slots=True)
class Staying:
    """``at_once``: what it waits for reads no fact, so it may hold already when the contact comes to the step."""

    wait: Wait
    at: Get | None
    until: Test | None
    at_once: bool
    change: NextChange | None  # when time alone may change what it waits for

    def due(self, fact: Fact, contact: Contact, since: int) -> int | None:
        """When it goes on by itself (ms), having come to the step at ``since``; 0: never, None: nobody can tell."""
        wait = self.wait
        if self.at is not None:
            instant = self.at(fact, contact)
            if not is_finite(instant):
                return None
            return min(max(ceil(instant), 1), LATEST)
        if not (wait.days or wait.for_ms or wait.local):
            return 0
        return min(self._later(since, zone_of(contact)), LATEST)

    def _later(self, since: int, zone: tzinfo) -> int:
        wait = self.wait
        at = add_days(since, wait.days, zone) if wait.days else since + wait.for_ms
        if wait.local is None:
            return at
        # After a duration the local time at which it ends will do.
        return next_local(at if at == since else at - 1, wait.local.minute, wait.local.weekdays, zone)


@dataclass(frozen=True, slots=True)
class Choosing:
    cases: tuple[tuple[Test, str], ...]
    otherwise: str

    def way(self, fact: Fact, contact: Contact) -> str:
        return next((to for test, to in self.cases if test(fact, contact)), self.otherwise)


@dataclass(frozen=True, slots=True)
class Parting:
    """``winner``: the way that has won, which all go who come now."""

    split: Split
    total: int
    winner: Way | None = None

    def way(self, journey: str, step: str, contact: str, before: str = "") -> Way:
        """The same one for the same contact every time; ``before``: the one that it went before, perhaps as another."""
        if (known := next((way for way in self.split.ways if way.name == before), None)) is not None:
            return known
        at = int.from_bytes(digest("split", contact, journey, step)[:8], "big") % self.total
        for way in self.split.ways:
            at -= way.weight
            if at < 0:
                return way
        raise AssertionError("the weights are less than their sum")


class Course:
    """One revision of a journey. ``zoned``: the steps whose end depends on where the contact lives; ``changes``: when
    time alone may end it; ``over``: what keeps those out who would leave at once; ``reads``: the paths that this and
    what its waits wait for depend on.
    """

    def __init__(self, journey: Journey, program: Program) -> None:
        self.journey = journey
        self.id = journey.id
        self.revision = journey.revision
        self.enters = _test(journey.enter_when)
        self.key = None if journey.key is None else compile_value(journey.key)
        self.restarts = _test(journey.restart_when)
        self.reaches = _test(journey.goal)
        self.exits = _test(journey.exit_when)
        self.over = tuple(test for test in (self.reaches, self.exits) if test is not None)
        self.steps = {id: _compiled(step, program, journey) for id, step in journey.steps.items()}
        changes = map(_change, (journey.goal, journey.exit_when))
        self.changes = tuple(change for change in changes if change is not None)
        self.reads = frozenset[str]().union(*(reads(when) for when in awaits(journey) if comes_by_time(when)))
        waits = {id: step for id, step in journey.steps.items() if isinstance(step, Wait)}
        self.zoned = frozenset(id for id, wait in waits.items() if wait.days or wait.local)


def _compiled(step: JourneyStep, program: Program, journey: Journey) -> Acting | Staying | Choosing | Parting:
    match step:
        case Do(then=then, next=next_):
            return Acting(tuple(compile_action(action, program) for action in then), next_)
        case Wait(at=at, until=until):
            instant = None if at is None else compile_value(at)
            return Staying(step, instant, _test(until), asked_at_once(step), _change(until))
        case Branch(cases=cases, otherwise=otherwise):
            return Choosing(tuple((compile_condition(when), to) for when, to in cases), otherwise)
        case Split(ways=ways):
            return Parting(step, sum(way.weight for way in ways), program.winner(journey, step))


def _change(node: Node | None) -> NextChange | None:
    """None where time alone does not change it; or where nobody can tell when, as in a revision that was active before
    a score began to decay: then it is asked on facts.
    """
    if node is None or not comes_by_time(node) or unsolvable(node) is not None:
        return None
    return compile_next_change(node)


def _test(node: Node | None) -> Test | None:
    return None if node is None else compile_condition(node)
