"""A checked journey: what ``journeys`` means. Durations are milliseconds, times of day minutes after midnight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from overture.rules.ruleset import Action, Ruleset, values_of
from overture.rules.tree import NOWHERE, Node, Place

END = ""  # where a step leads that is the last one


@dataclass(frozen=True, slots=True)
class Do:
    """Act, then go on."""

    id: str
    then: tuple[Action, ...]
    next: str = END
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class LocalTime:
    """The next time the contact's clock on the wall shows this, or the end of the gap that skips it, on one of these
    weekdays (1 = Monday; empty: any).
    """

    minute: int
    weekdays: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Wait:
    """Stay for ``for_ms``, or up to the instant ``at`` (an expression in ms) or ``local`` time after that, or until the
    condition holds, whichever comes first. With ``days`` of ``for_ms`` whole days: the same time on the wall, whatever
    the clocks do in between. ``until`` alone waits for ever.
    """

    id: str
    next: str = END
    for_ms: int = 0
    days: int = 0  # calendar days of the contact's zone, in place of `for_ms`
    at: Node | None = None
    local: LocalTime | None = None
    until: Node | None = None
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Branch:
    """The first condition that holds tells where to go; else ``otherwise``."""

    id: str
    cases: tuple[tuple[Node, str], ...]
    otherwise: str = END
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Way:
    name: str
    weight: int
    next: str


@dataclass(frozen=True, slots=True)
class Contest:
    """Of each contact counts whether it reached the goal in ``within_ms`` after the split. Who comes later goes the way
    that is better than all others, once that is ``certainty`` (below 1).
    """

    within_ms: int
    certainty: float


@dataclass(frozen=True, slots=True)
class Split:
    """By weight, and the same way for the same contact every time."""

    id: str
    ways: tuple[Way, ...]
    place: Place = NOWHERE
    contest: Contest | None = None  # which of the ways is best, where that is looked for


JourneyStep = Do | Wait | Branch | Split


@dataclass(frozen=True, slots=True)
class Journey:
    """``steps`` in the order of the document; the first one is where it begins.

    In its conditions and values ``journey.key`` ``journey.entered_at`` and ``journey.fact.<field>`` (of the fact that
    began it) are known, and after a wait ``wait.matched``. ``keeps`` are the fields of that fact that it reads,
    perhaps its ``type``, ``id`` and ``occurred_at`` among them.
    ``enter_types``: the types of fact on which ``enter_when`` can hold at all. ``edition`` is the same as long as the
    journey says the same, whatever else changes in its ruleset: outcomes are counted by it.
    """

    name: str
    ruleset: str
    revision: str
    steps: dict[str, JourneyStep]
    enter_when: Node | None = None  # None: only by `start`
    enter_types: frozenset[str] = frozenset()
    key: Node | None = None
    reentry: Literal["never", "always", "after"] = "never"
    reentry_ms: int = 0  # since it ended, for "after"
    exit_when: Node | None = None
    restart_when: Node | None = None
    goal: Node | None = None
    on_redeploy: Literal["finish_on_old", "migrate", "exit"] = "finish_on_old"
    keeps: frozenset[str] = frozenset()
    place: Place = NOWHERE
    edition: str = ""

    @property
    def id(self) -> str:
        return f"{self.ruleset}/{self.name}"

    @property
    def first(self) -> str:
        return next(iter(self.steps), END)


def contests(journey: Journey) -> Iterator[tuple[Split, Contest]]:
    """The splits that look for a winner."""
    for step in journey.steps.values():
        if isinstance(step, Split) and step.contest is not None:
            yield step, step.contest


def acting(ruleset: Ruleset) -> Iterator[tuple[Place, str, tuple[Action, ...]]]:
    """All actions of a ruleset, with where they are written: a place and a pointer."""
    for rule in (*ruleset.rules, *ruleset.whiles):
        yield rule.place, f"/rules/{rule.name}", rule.then
    for segment in ruleset.segments.values():
        yield segment.place, f"/segments/{segment.name}", (*segment.on_enter, *segment.on_leave)
    for journey in ruleset.journeys.values():
        for step in journey.steps.values():
            if isinstance(step, Do):
                yield step.place, f"/journeys/{journey.name}/steps/{step.id}", step.then


def conditions_of(journey: Journey) -> Iterator[Node]:
    """Every condition that is asked while somebody is on it, and that of entering it."""
    asked = (journey.enter_when, journey.restart_when, journey.goal, journey.exit_when)
    yield from (node for node in asked if node is not None)
    for step in journey.steps.values():
        match step:
            case Wait(until=until) if until is not None:
                yield until
            case Branch(cases=cases):
                yield from (condition for condition, _ in cases)
            case _:
                pass


def awaits(journey: Journey) -> Iterator[Node]:
    """The conditions that end it or a wait, and may come true by time alone."""
    waits = (step.until for step in journey.steps.values() if isinstance(step, Wait))
    yield from (node for node in (journey.goal, journey.exit_when, *waits) if node is not None)


def expressions_of(journey: Journey) -> Iterator[Node]:
    """Every expression that is evaluated for it: conditions, its key, instants, and the values of its actions."""
    yield from conditions_of(journey)
    if journey.key is not None:
        yield journey.key
    for step in journey.steps.values():
        match step:
            case Wait(at=at) if at is not None:
                yield at
            case Do(then=then):
                for action in then:
                    yield from values_of(action)
            case _:
                pass
