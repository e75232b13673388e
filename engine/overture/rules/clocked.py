"""What in a condition changes by time alone, and whether it can be told when.

A segment and a ``while`` follow their condition without any fact, so for them it must be known when to look again.
What changes goes in *steps* (a window, the hour of the day) or it *flows* (``now()``, a decaying score). Steps may
stand anywhere. What flows must be compared: the time as a sum or difference, a decaying score by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from overture.rules.journey import Branch, Do, Journey, JourneyStep, Split, Wait
from overture.rules.learning import Model
from overture.rules.reach import children, fact_types, walk
from overture.rules.report import Report
from overture.rules.rewrite import rewrite
from overture.rules.ruleset import (
    Action,
    AssertAction,
    Choice,
    IssueAction,
    Join,
    Rule,
    ScoreAction,
    Segment,
    SetAction,
    While,
)
from overture.rules.spelling import spell
from overture.rules.tree import And, Arithmetic, Call, Compare, Decaying, Field, History, Literal, Node, Not, Or

STILL, STEPS, FLOWS = 0, 1, 2
ORDERS = ("==", "!=", "<", "<=", ">", ">=")


def motion(node: Node) -> int:
    """How the value changes by time alone: `STILL`, in `STEPS`, or it `FLOWS`."""
    match node:
        case History(_, _, window):
            return STEPS if window is not None else STILL
        case Decaying() | Call("now" | "age"):
            return FLOWS
        case Call("local", (Call("now"), Literal(name))) if name != "minute":
            return STEPS
        case _:
            return max(map(motion, children(node)), default=STILL)


@dataclass(frozen=True, slots=True)
class Line:
    """``slope`` × time + the sum of ``terms``, each a still (or stepping) value and its factor."""

    slope: float
    terms: tuple[tuple[float, Node], ...]

    def plus(self, other: Line, sign: float) -> Line:
        return Line(self.slope + sign * other.slope, (*self.terms, *((sign * k, n) for k, n in other.terms)))

    def times(self, factor: float) -> Line:
        return Line(self.slope * factor, tuple((k * factor, n) for k, n in self.terms))


def line_of(node: Node) -> Line | None:
    """A value that goes with the time in a straight line; None where it does not."""
    if motion(node) != FLOWS:
        return Line(0, ((1, node),))
    match node:
        case Call("now"):
            return Line(1, ())
        case Call("age", (instant,)):
            since = line_of(instant)
            return Line(1, ()).plus(since, -1) if since else None
        case Arithmetic("+" | "-" as op, left, right):
            a, b = line_of(left), line_of(right)
            return a.plus(b, 1 if op == "+" else -1) if a and b else None
        case Arithmetic("*" | "/" as op, left, Literal(int() | float() as factor)) if factor:
            a = line_of(left)
            return a.times(factor if op == "*" else 1 / factor) if a else None
        case Arithmetic("*", Literal(int() | float() as factor), right):
            b = line_of(right)
            return b.times(factor) if b else None
        case _:
            return None


def unsolvable(node: Node) -> Node | None:
    """The first part of a condition of which it cannot be told when it changes; None where there is none."""
    match node:
        case And() | Or() | Not():
            return next((found for term in children(node) if (found := unsolvable(term)) is not None), None)
        case Compare(op, left, right) if op in ORDERS and motion(node) == FLOWS:
            if Decaying in (type(left), type(right)):
                other = right if isinstance(left, Decaying) else left
                return None if motion(other) != FLOWS else other
            return next((side for side in (left, right) if line_of(side) is None), None)
        case _:
            if motion(node) != FLOWS:
                return None
            return next(n for n in walk(node) if isinstance(n, Decaying | Call) and motion(n) == FLOWS)


def comes_by_time(node: Node) -> bool:
    """Whether a condition of a journey may come true by time alone: the others are about certain facts, or still."""
    return motion(node) != STILL and fact_types(node) is None


def check_clock(node: Node, report: Report, pointer: str) -> None:
    """Refuse, in a condition that is followed without any fact, what cannot be followed."""
    found = unsolvable(node)
    if found is None:
        return
    hint = 'Compare it so: age(x) > days("3d"), now() < x + days("3d"), contact.scores.name >= 3.'
    if isinstance(found, Call) and found.name == "local":
        hint = "Ask local(now()) for hour, weekday, day, month, year or date."
    message = f"It cannot be told when `{spell(found)[:80]}` changes this condition"
    report.at("condition.clock", message, found.place, pointer, hint)


# --- scores that decay -----------------------------------------------------------------------------------------


class Decay:
    """Puts `Decaying` in the place of the scores that do; ``half_lives`` in ms, by score."""

    def __init__(self, half_lives: Mapping[str, int]) -> None:
        self.half_lives = half_lives

    def node(self, node: Node) -> Node:
        return rewrite(node, self._read)

    def _read(self, node: Node) -> Node | None:
        match node:
            case Field("contact", ("scores", name, *_)) if name in self.half_lives:
                return Decaying(node, self.half_lives[name], node.place)
            case _:
                return None

    def maybe(self, node: Node | None) -> Node | None:
        return None if node is None else self.node(node)

    def action(self, action: Action) -> Action:
        match action:
            case ScoreAction(_, add, set_, per, by):
                by = self.model(by) if isinstance(by, Model) else by
                return replace(action, add=self.maybe(add), set=self.maybe(set_), per=self.maybe(per), by=by)
            case SetAction(traits):
                return replace(action, traits=self._values(traits))
            case AssertAction(_, values) | IssueAction(_, values):
                return replace(action, properties=self._values(values))
            case _:
                return action

    def _values(self, values: Mapping[str, Node]) -> dict[str, Node]:
        return {name: self.node(value) for name, value in values.items()}

    def rule(self, rule: Rule) -> Rule:
        if not self.half_lives:
            return rule
        once = replace(rule.once, key=self.maybe(rule.once.key)) if rule.once else None
        then = tuple(map(self.action, rule.then))
        return replace(rule, when=self.node(rule.when), then=then, once=once, join=self._join(rule.join))

    def _join(self, join: Join | None) -> Join | None:
        if join is None:
            return None
        return replace(
            join,
            parts=tuple(replace(p, when=self.node(p.when), relation=self.maybe(p.relation)) for p in join.parts),
        )

    def while_(self, rule: While) -> While:
        return replace(rule, when=self.node(rule.when), then=tuple(map(self.action, rule.then)))

    def segment(self, segment: Segment) -> Segment:
        return replace(
            segment,
            when=self.maybe(segment.when),
            on_enter=tuple(map(self.action, segment.on_enter)),
            on_leave=tuple(map(self.action, segment.on_leave)),
        )

    def model(self, model: Model) -> Model:
        return replace(model, predict=self.node(model.predict), features=self._values(model.features))

    def choice(self, choice: Choice) -> Choice:
        variants = tuple(replace(each, when=self.maybe(each.when)) for each in choice.variants)
        return replace(choice, goal=self.node(choice.goal), variants=variants)

    def journey(self, journey: Journey) -> Journey:
        if not self.half_lives:
            return journey
        return replace(
            journey,
            steps={id: self._step(step) for id, step in journey.steps.items()},
            enter_when=self.maybe(journey.enter_when),
            key=self.maybe(journey.key),
            exit_when=self.maybe(journey.exit_when),
            restart_when=self.maybe(journey.restart_when),
            goal=self.maybe(journey.goal),
        )

    def _step(self, step: JourneyStep) -> JourneyStep:
        match step:
            case Do():
                return replace(step, then=tuple(map(self.action, step.then)))
            case Wait():
                return replace(step, at=self.maybe(step.at), until=self.maybe(step.until))
            case Branch():
                return replace(step, cases=tuple((self.node(when), to) for when, to in step.cases))
            case Split():
                return step
