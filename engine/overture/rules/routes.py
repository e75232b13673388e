"""Where a journey can lead: steps that nobody comes to, circles without a wait, circles that mail for ever."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from overture.rules.conflicts import cycle_of
from overture.rules.journey import END, Branch, Do, Journey, JourneyStep, Split, Wait, contests
from overture.rules.reach import walk
from overture.rules.report import Report
from overture.rules.ruleset import SendAction, StartAction
from overture.rules.spelling import spell
from overture.rules.tree import Field, Node

Edges = Mapping[str, frozenset[str]]


def check_routes(journeys: Mapping[str, Journey], report: Report) -> None:
    """``journeys`` are those of one document, by name."""
    for journey in journeys.values():
        edges = {id: _targets(step) for id, step in journey.steps.items()}
        _unreachable(journey, edges, report)
        if not _spinning(journey, edges, report):
            _endless(journey, edges, report)
        _contested(journey, edges, report)
    _starting(journeys, report)


def _targets(step: JourneyStep) -> frozenset[str]:
    match step:
        case Do(next=to) | Wait(next=to):
            return frozenset((to,))
        case Branch(cases=cases, otherwise=otherwise):
            return frozenset((*(to for _, to in cases), otherwise))
        case Split(ways=ways):
            return frozenset(way.next for way in ways)


def _unreachable(journey: Journey, edges: Edges, report: Report) -> None:
    reached = _reached(journey.first, edges)
    for id, step in journey.steps.items():
        if id not in reached:
            message = f"No way leads to the step {id!r}"
            hint = "Let a branch, a split, go or then lead to it, or remove it."
            report.at("journey.unreachable", message, step.place, f"/journeys/{journey.name}", hint)


def _reached(start: str, edges: Edges) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        id = todo.pop()
        if id in edges and id not in found:
            found.add(id)
            todo += edges[id]
    return found


def _spinning(journey: Journey, edges: Edges, report: Report) -> bool:
    """Whether a circle of steps takes no time."""
    cycle = cycle_of({id: targets for id, targets in edges.items() if not _waits(journey.steps[id])})
    hint = "Put a wait between them. To wait `at` an instant is no wait once it has passed."
    if not cycle and (cycle := cycle_of(_over_at_once(journey, edges))):
        hint = "A wait `until` what holds already is none: lead out with a branch on wait.matched, or wait before it."
    if cycle:
        message = f"These steps go round without a wait: {' → '.join(cycle)}"
        place = journey.steps[cycle[0]].place
        report.at("journey.spins", message, place, f"/journeys/{journey.name}", hint)
    return bool(cycle)


def _waits(step: JourneyStep) -> bool:
    return isinstance(step, Wait) and step.at is None


def _takes_time(step: JourneyStep) -> bool:
    """Whether nobody passes it at the instant of coming there."""
    return _waits(step) and not asked_at_once(step)


def asked_at_once(step: JourneyStep) -> bool:
    """Whether what it waits for reads no fact, so that it may hold already when the contact comes to the step."""
    until = step.until if isinstance(step, Wait) else None
    return until is not None and not any(isinstance(node, Field) and node.root == "fact" for node in walk(until))


def _over_at_once(journey: Journey, edges: Edges) -> Edges:
    """Where those go for whom all holds already that waits are for: of a branch that asks for it, only that way."""
    steps = journey.steps
    held = {"wait.matched"} if all(step.at is None for step in steps.values() if isinstance(step, Wait)) else set[str]()
    held |= {spell(step.until) for step in steps.values() if isinstance(step, Wait) and step.until is not None}
    found = {id: targets for id, targets in edges.items() if not _takes_time(steps[id])}
    for id in found:
        step = steps[id]
        if isinstance(step, Branch):
            found[id] = frozenset(_ways(step.cases, step.otherwise, held))
    return found


def _ways(cases: Iterable[tuple[Node, str]], otherwise: str, held: Collection[str]) -> Iterable[str]:
    for when, to in cases:
        yield to
        if spell(when) in held:
            return
    yield otherwise


def _endless(journey: Journey, edges: Edges, report: Report) -> None:
    """A circle that sends, and that some contact never leaves: a split sends it the same way every time, so only a
    branch leads out.
    """
    if journey.exit_when is not None or journey.goal is not None:
        return
    ends = {END}
    before = -1
    while len(ends) != before:
        before = len(ends)
        for id, step in journey.steps.items():
            inside = edges[id] & ends
            if inside == edges[id] or (inside and not isinstance(step, Split)):
                ends.add(id)
    left = {id: targets - ends for id, targets in edges.items() if id not in ends}
    for id in left:
        step = journey.steps[id]
        sends = isinstance(step, Do) and any(isinstance(action, SendAction) for action in step.then)
        if sends and any(id in _reached(to, left) for to in left[id]) and id in _reached(journey.first, edges):
            message = f"Nothing ends the circle in which the step {id!r} sends"
            hint = "Add exit_when or goal, or a branch that leads out of it."
            report.at("journey.endless", message, step.place, f"/journeys/{journey.name}", hint)
            return


def _contested(journey: Journey, edges: Edges, report: Report) -> None:
    """Who looks for the best way needs something that can be reached, and time to do so on each."""
    for step, _ in contests(journey):
        message = hint = ""
        if journey.goal is None:
            message, hint = "Without a goal there is no best way", "Say with `goal` what the journey is for."
        elif at_once := next((way.name for way in step.ways if not _stays(journey, way.next, edges)), ""):
            message = f"Nobody reaches the goal on the way {at_once!r}: the journey ends at once there"
            hint = "Put a wait before its end."
        if message:
            report.at("journey.winner", message, step.place, f"/journeys/{journey.name}", hint)


def _stays(journey: Journey, first: str, edges: Edges) -> bool:
    return any(isinstance(journey.steps[id], Wait) for id in _reached(first, edges))


def _starting(journeys: Mapping[str, Journey], report: Report) -> None:
    """Journeys that begin each other without a wait."""
    cycle = cycle_of({name: _started_at_once(journey) for name, journey in journeys.items()})
    if cycle:
        journey = journeys[cycle[0]]
        message = f"These journeys start each other without a wait: {' → '.join(cycle)}"
        report.at(
            "journey.spins", message, journey.place, f"/journeys/{journey.name}", "Put a wait before one `start`."
        )


def _started_at_once(journey: Journey) -> set[str]:
    steps = journey.steps
    edges = {id: _targets(step) for id, step in steps.items() if not _takes_time(step)}
    return set(_started(steps[id] for id in _reached(journey.first, edges)))


def _started(steps: Iterable[JourneyStep]) -> Iterable[str]:
    for step in steps:
        if isinstance(step, Do):
            yield from (action.journey for action in step.then if isinstance(action, StartAction))
