"""When a condition over a contact may change next, by time alone.

What is still never does. What goes in steps (`overture.rules.clocked`) is stepped through until the condition changes;
what flows is solved: a line for the instant at which it meets what it is compared with, a decaying score likewise. The
instant found is then tried with the condition itself, so that rounding makes no difference.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from copy import copy
from datetime import tzinfo
from math import ceil, floor, isfinite, log2

from overture.match.closures import Test, compile_condition, compile_value
from overture.match.fields import Get
from overture.match.values import COMPARISONS, is_number
from overture.match.zone import LATEST, next_field_step, period_end, period_start, zone_of
from overture.model import Contact, Fact, Refused
from overture.model.decay import raw
from overture.rules.clocked import ORDERS, STEPS, STILL, line_of, motion, unsolvable
from overture.rules.reach import walk
from overture.rules.tree import FLIPPED, And, Call, Compare, Decaying, Field, History, Literal, Node, Not, Or

NextChange = Callable[[Fact, Contact], int | None]
Next = Callable[[Fact, Contact], int]
Step = Callable[[Contact], int]
NEVER = 1 << 62
TRIES = 48  # steps looked ahead; beyond them the condition is looked at again although it may not have changed
TRIES_OF_HISTORY = 8  # where each look may add up a thousand facts
_SMALLEST = 4e-7  # a score below it is shown as 0


def compile_next_change(node: Node) -> NextChange:
    """The first instant (ms) after the contact's clock at which the condition may change if no fact comes; None: never.
    As a function of the contact, and of a fact that stands for none (what a journey knows of itself is in its context).
    Up to that instant it does not change.

    Raises:
        Refused: it cannot be told (the checker refuses such a condition where it matters).
    """
    if unsolvable(node) is not None:
        raise Refused("condition.clock", "It cannot be told when this condition changes.")
    following = _next(node)
    return lambda f, c: t if (t := following(f, c)) <= LATEST else None


def _next(node: Node) -> Next:
    if motion(node) == STILL:
        return lambda _f, _c: NEVER
    match node:
        case And(terms):
            return _joint(terms, True)
        case Or(terms):
            return _joint(terms, False)
        case Not(term):
            return _next(term)
        case Compare(op) if op in ORDERS:
            return _compared(node)
        case _:
            return _stepping(node)


def _joint(terms: Sequence[Node], wanted: bool) -> Next:
    """``and`` (``or``) stays false (true) until all of its terms that are so have changed."""
    ordered = sorted(terms, key=motion)
    tested = [(compile_condition(term), _next(term)) for term in ordered]

    def following(f: Fact, c: Contact) -> int:
        soonest, latest, decided = NEVER, 0, False
        for test, following in tested:
            if test(f, c) is wanted:
                if not decided:
                    soonest = min(soonest, following(f, c))
            else:
                decided = True
                latest = max(latest, following(f, c))
                if latest >= NEVER:
                    return NEVER
        return latest if decided else soonest

    return following


# --- steps -----------------------------------------------------------------------------------------------------


def _stepping(node: Node) -> Next:
    test, step = compile_condition(node), _step(node)
    kinds = {type(part) for part in walk(node)}
    tries = TRIES_OF_HISTORY if History in kinds else TRIES
    # What depends on nothing but the zone everybody there has from the first one asked.
    shared: dict[tzinfo, tuple[int, int]] | None = None if kinds & {Field, History} else {}

    def following(f: Fact, c: Contact) -> int:
        zone = zone_of(c)
        if shared is not None:
            since, until = shared.get(zone, (0, 0))
            if since <= c.clock < until:
                return until
        before, probe = test(f, c), copy(c)
        for _ in range(tries):
            at = step(probe)
            if at > LATEST:
                return NEVER
            probe.clock = at
            if test(f, probe) is not before:
                if shared is not None:
                    shared[zone] = c.clock, at
                break
        return probe.clock

    return following


def _step(node: Node) -> Step:
    """The next instant at which something in the expression steps."""
    steps: list[Step] = []
    for part in walk(node):
        match part:
            case History(_, series, window) if window is not None:
                steps.append(_leaving(series.id, window.ms, window.calendar))
            case Call("local", (Call("now"), Literal(str() as name))):
                steps.append(_showing(name))
            case _:
                pass
    if len(steps) == 1:
        return steps[0]
    return lambda c: min((step(c) for step in steps), default=NEVER)


def _leaving(id: str, ms: int, calendar: str) -> Step:
    def duration(c: Contact) -> int:
        kept = c.history.get(id)
        if kept is None:
            return NEVER
        i = bisect_right(kept.at, c.clock - ms)
        return kept.at[i] + ms if i < len(kept.at) else NEVER

    def period(c: Contact) -> int:
        kept = c.history.get(id)
        if kept is None or not kept.at:
            return NEVER
        zone = zone_of(c)
        return period_end(c.clock, calendar, zone) if kept.at[-1] >= period_start(c.clock, calendar, zone) else NEVER

    return period if calendar else duration


def _showing(name: str) -> Step:
    return lambda c: next_field_step(c.clock, name, zone_of(c))


# --- comparisons -----------------------------------------------------------------------------------------------


def _compared(node: Compare) -> Next:
    op, left, right = node.op, node.left, node.right
    if motion(left) == STILL:
        op, left, right = FLIPPED[op], right, left
    if motion(node) == STEPS:
        match left:
            case History("count", series, window) if motion(right) == STILL and window is not None and window.ms:
                return _counted(op, series.id, window.ms, compile_value(right))
            case _:
                return _stepping(node)
    if isinstance(right, Decaying):
        op, left, right = FLIPPED[op], right, left
    if isinstance(left, Decaying):
        solve = _fading(op, left, compile_value(right))
    else:
        solve = _meeting(op, left, right, compile_condition(node))
    step = _step(node)
    return lambda f, c: min(solve(f, c), step(c))


def _counted(op: str, id: str, ms: int, limit: Get) -> Next:
    """Of a count one can tell at once with how many facts the comparison changes."""
    compare = COMPARISONS[op]

    def following(f: Fact, c: Contact) -> int:
        kept, v = c.history.get(id), limit(f, c)
        if kept is None or not is_number(v) or not isfinite(v):
            return NEVER
        at = kept.at
        n = len(at) - bisect_right(at, c.clock - ms)
        before = compare(n, v)
        for k in sorted({n - 1, floor(v), ceil(v) - 1}, reverse=True):
            if 0 <= k < n:
                leaving = at[len(at) - 1 - k]
                left = len(at) - bisect_right(at, leaving)  # fewer than k where several leave at once
                if compare(left, v) is not before:
                    return leaving + ms
        return NEVER

    return following


def _meeting(op: str, left: Node, right: Node, test: Test) -> Next:
    """Two lines over the time."""
    a, b = line_of(left), line_of(right)
    assert a is not None  # `unsolvable` has seen to it
    assert b is not None
    line = a.plus(b, -1)
    terms = [(factor, compile_value(term)) for factor, term in line.terms]

    def following(f: Fact, c: Contact) -> int:
        height = 0.0
        for factor, get in terms:
            value = get(f, c)
            if not is_number(value):
                return NEVER
            height += factor * value
        meets = -height / line.slope if line.slope else NEVER
        if not c.clock - 10 < meets <= LATEST:
            return NEVER
        probe, before, middle = copy(c), test(f, c), floor(meets)

        def changed(at: int) -> bool:
            probe.clock = at
            return test(f, probe) is not before

        if op in ("==", "!="):
            return next((at for at in range(max(c.clock + 1, middle - 9), middle + 10) if changed(at)), NEVER)
        low, high = max(c.clock, middle - 9), middle + 10
        if not changed(high):
            return NEVER
        return _first(changed, c.clock if low > c.clock and changed(low) else low, high)

    return following


def _fading(op: str, score: Decaying, limit: Get) -> Next:
    """A decaying score against something that does not flow. Its size only ever goes down to 0."""
    get, half_life = compile_value(score), score.half_life
    name, key = score.field.path[1], "".join(score.field.path[2:3])

    def following(f: Fact, c: Contact) -> int:
        value, v = raw(c, name, key, c.clock, half_life), limit(f, c)
        if abs(value) < _SMALLEST or not is_number(v):
            return NEVER
        sign = 1 if value > 0 else -1
        now, v, probe = sign * get(f, c), sign * v, copy(c)

        def shown(at: int) -> float:
            probe.clock = at
            return sign * get(f, probe)

        equality = op in ("==", "!=")
        below = now == v if equality else (op if sign > 0 else FLIPPED[op]) in (">=", "<")

        def reached(size: float) -> bool:
            """Whether the comparison with what is shown has changed."""
            return size < v if below else size <= v

        if reached(now) or not reached(0):
            return NEVER
        low, high = c.clock, min(LATEST, c.clock + ceil(half_life * log2(abs(value) / _SMALLEST)) + 1)
        if not reached(shown(high)):
            return NEVER  # it was there before the score began to decay, or decays beyond all time
        if 0 < v < now:
            guess, margin = c.clock + int(half_life * log2(abs(value) / v)), ceil(half_life * 2e-6 / v) + 2
            if guess - margin > low and not reached(shown(guess - margin)):
                low = guess - margin
            if guess + margin < high and reached(shown(guess + margin)):
                high = guess + margin
        at = _first(lambda at: reached(shown(at)), low, high)
        return NEVER if equality and not below and shown(at) != v else at

    return following


def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The first instant at which it holds, where it does not at ``low``, does at ``high``, and turns once."""
    while low + 1 < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle
    return high
