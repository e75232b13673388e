"""Removal effects in a Markov chain of touches.

The model (Anderl, Becker, von Wangenheim, Schumann: Mapping the customer journey, IJRM 33, 2016): paths are walks of
a chain from a start through touches to a conversion or to nothing, its probabilities are as often as each transition
was seen. Of order k a state is the last k touches, fewer at the beginning of a path. A label is removed by having
every walk end in nothing that comes to a touch of it. Its effect is by how much that lowers the probability of a
conversion, and the conversions are shared out in proportion to the effects. Their value likewise: each state that
conversions come from has their mean value, and the effect is by how much the expected value falls.

The probabilities are exact: states are eliminated one by one, as in Gauss's algorithm, but without subtractions
(Grassmann, Taksar, Heyman 1985). What is left when all states of other labels are gone tells how likely a conversion is
without a touch of this one. The labels of one half have most of their eliminations in common: those of the other half.
These are done once, and so on within each half.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from overture.attribution.paths import Credits, Path, Sum, shared_out
from overture.model import Refused

WORK = 25_000_000  # steps of the elimination, some five seconds of them
STATES = 200_000  # before that: what the transitions of so many need in memory

State = tuple[str, ...]
Groups = Sequence[tuple[str, list[State]]]

START: State = ()
CONVERSION: State = ("", "conversion")  # no label is empty
NOTHING: State = ("", "nothing")


class Markov:
    """`Model` of one order."""

    def __init__(self, order: int) -> None:
        self._order = order
        self._counts: defaultdict[State, defaultdict[State, float]] = defaultdict(lambda: defaultdict(float))
        self._values: defaultdict[State, Sum] = defaultdict(Sum)  # of the conversions that came right after a state
        self._conversions = self._value = 0.0

    def add(self, path: Path) -> None:
        walks = path.conversions + path.nulls
        if not walks:
            return
        before = START
        for n in range(1, len(path.touches) + 1):
            state = path.touches[max(0, n - self._order) : n]
            self._counts[before][state] += walks
            before = state
        ends = self._counts[before]
        ends[CONVERSION] += path.conversions
        ends[NOTHING] += path.nulls
        self._values[before].add(path.value)
        self._conversions += path.conversions
        self._value += path.value
        if len(self._counts) > STATES:
            raise _too_much(self._order)

    def credits(self) -> Credits:
        if not self._conversions:
            return {}
        effects: dict[str, float] = {}
        values: dict[str, float] = {}
        for label, (converted, worth) in self.removed().items():
            effects[label], values[label] = converted, worth
        return shared_out(effects, values, self._conversions, self._value)

    def removed(self) -> dict[str, tuple[float, float]]:
        """By label: by how much its removal lowers the probability of a conversion, and the expected value of a walk.

        Raises Refused ``attribution.too_fine`` where that would take too long.
        """
        chain = _Chain(self._order)
        for state, targets in self._counts.items():
            walks = sum(targets.values())
            chain.put(state, {to: n / walks for to, n in targets.items() if n}, self._values[state].value / walks)
        of: defaultdict[str, list[State]] = defaultdict(list)
        for state in sorted(self._counts):
            if state:
                of[state[-1]].append(state)
        return {label: _not_negative(lost) for label, lost in _each(chain, sorted(of.items()))} if of else {}


def _not_negative(pair: tuple[float, float]) -> tuple[float, float]:
    """What rounding made less than nothing is nothing."""
    return max(0.0, pair[0]), max(0.0, pair[1])


class _Chain:
    """The probabilities from each state that is left, ``worth``: the value that is expected there and then."""

    def __init__(self, order: int) -> None:
        self._order = order
        self._rows: dict[State, dict[State, float]] = {}
        self._worth: dict[State, float] = {}
        self._from: defaultdict[State, set[State]] = defaultdict(set)
        self.work = [0]  # shared by all copies

    def put(self, state: State, row: dict[State, float], worth: float) -> None:
        self._rows[state], self._worth[state] = row, worth
        for to in row:
            self._from[to].add(state)

    def copy(self) -> _Chain:
        other = _Chain(self._order)
        other._rows = {state: row.copy() for state, row in self._rows.items()}
        other._worth = self._worth.copy()
        other._from = defaultdict(set, {to: states.copy() for to, states in self._from.items()})
        other.work = self.work
        return other

    def converts(self) -> tuple[float, float]:
        """From the start right to a conversion: how likely, and what value is expected of that."""
        return self._rows[START].get(CONVERSION, 0.0), self._worth[START]

    def eliminate(self, states: list[State]) -> None:
        """Let walks pass through these states in no time. Those through which few lead come first."""
        for state in sorted(states, key=lambda s: len(self._from[s]) * len(self._rows[s])):
            self._eliminate(state)

    def _eliminate(self, state: State) -> None:
        row, worth, before = self._rows.pop(state), self._worth.pop(state), self._from.pop(state)
        row.pop(state, None)
        before.discard(state)
        self.work[0] += (len(before) + 1) * len(row)
        if self.work[0] > WORK:
            raise _too_much(self._order)
        leaves = sum(row.values())
        onward = [(to, p / leaves) for to, p in row.items()]
        for to, _ in onward:
            self._from[to].discard(state)
            self._from[to] |= before
        for earlier in before:
            its = self._rows[earlier]
            through = its.pop(state)
            for to, p in onward:
                its[to] = its.get(to, 0.0) + through * p
            self._worth[earlier] += through * worth / leaves


def _each(chain: _Chain, groups: Groups) -> Iterator[tuple[str, tuple[float, float]]]:
    """For each label what is lost without it. The chain has no states of other labels than these, and is used up."""
    if len(groups) == 1:
        ((label, states),) = groups
        without, worth_without = chain.converts()
        chain.eliminate(states)
        whole, worth = chain.converts()
        yield label, (whole - without, worth - worth_without)
        return
    half = len(groups) // 2
    for mine, others in ((groups[:half], groups[half:]), (groups[half:], groups[:half])):
        rest = chain.copy()
        rest.eliminate([state for _, states in others for state in states])
        yield from _each(rest, mine)


def _too_much(order: int) -> Refused:
    return Refused(
        "attribution.too_fine",
        f"The paths are too different for a Markov chain of order {order}.",
        "Choose a lower order, a shorter period or a coarser `by`.",
        status=422,
    )
