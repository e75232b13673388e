"""Models of attribution: small paths with the arithmetic beside them, and what holds for any paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.attribution import MODELS, Credits, Path, Tuning, attribute
from overture.attribution.markov import STATES
from overture.attribution.shapley import PLAYERS
from overture.model import Refused

DAY = 86_400_000.0
# Two of four people convert after a, b (worth 30 and 10); one after b alone (worth 60); one goes a to nothing.
PATHS = [
    Path(("a", "b"), (3 * DAY, 2 * DAY), conversions=2, value=40),
    Path(("b",), (DAY,), conversions=1, value=60),
    Path(("a",), (DAY,), conversions=0, nulls=1),
]


def of(model: str, paths: Sequence[Path], **tuning: Any) -> Credits:
    found = attribute(paths, [model], Tuning(**tuning))[model]
    assert not isinstance(found, Refused), found
    return found


def parts(model: str, paths: Sequence[Path] = PATHS, **tuning: Any) -> dict[str, tuple[float, float]]:
    """Conversions and value by label, without labels that get nothing."""
    credits = of(model, paths, **tuning).items()
    return {label: pytest.approx(tuple(credit)) for label, credit in credits if any(credit)}


def three(a: float, b: float, c: float, conversions: float = 1) -> Any:
    """By the ages in days of three touches."""
    return Path(("a", "b", "c"), (a * DAY, b * DAY, c * DAY), conversions)


def test_first_last_linear():
    assert parts("first") == {"a": (2, 40), "b": (1, 60)}
    assert parts("last") == {"b": (3, 100)}
    assert parts("linear") == {"a": (1, 20), "b": (1 + 1, 20 + 60)}
    again = [Path(("a", "b", "a", "a"), (4.0, 3.0, 2.0, 1.0), 8, 4)]
    assert parts("linear", again) == {"a": (6, 3), "b": (2, 1)}


def test_decay_by_half_lives():
    # 2^-2 : 2^-1 : 2^0 = 1 : 2 : 4 of 7, wherever the path ends.
    for end in (0, 1, 5000):
        found = parts("decay", [three(end + 14, end + 7, end, conversions=7)], half_life=int(7 * DAY))
        assert found == {"a": (1, 0), "b": (2, 0), "c": (4, 0)}


def test_position():
    assert parts("position", [three(3, 2, 1, 10)]) == {"a": (4, 0), "b": (2, 0), "c": (4, 0)}
    four = Path(("a", "b", "c", "d"), (4.0, 3.0, 2.0, 1.0), 10)
    assert parts("position", [four], position=(0.3, 0.5, 0.2)) == {
        "a": (3, 0),
        "b": (2.5, 0),
        "c": (2.5, 0),
        "d": (2, 0),
    }
    two = [Path(("a", "b"), (2.0, 1.0), 10)]
    assert parts("position", two, position=(0.3, 0.5, 0.2)) == {"a": (6, 0), "b": (4, 0)}
    assert parts("position", two, position=(0, 1, 0)) == {"a": (5, 0), "b": (5, 0)}
    assert parts("position", [Path(("a",), (1.0,), 10)]) == {"a": (10, 0)}


def test_markov_removal_effects():
    # From the start 3/4 go to a, 1/4 to b; from a 2/3 to b, 1/3 to nothing; from b all convert, worth 100/3 each.
    # A conversion: 3/4 · 2/3 + 1/4 = 3/4. Without a: 1/4, so a's effect is 1/2. Without b: 0, so b's is 3/4.
    # Of 3 conversions a has 3 · (1/2) / (1/2 + 3/4) = 1.2, b 1.8; of the value of 100 the same parts, 40 and 60.
    assert parts("markov") == {"a": (1.2, 40), "b": (1.8, 60)}


def test_markov_of_a_higher_order():
    # Whoever comes to b by a converts, who comes there by c does not, which one step does not tell.
    paths = [Path(("a", "b"), (2.0, 1.0), 2), Path(("c", "b"), (2.0, 1.0), 0, nulls=2)]
    # Order 1: b converts half: 1/2 in all. Without a 1/4, without c 1/4, without b 0: effects 1/4, 1/4, 1/2.
    assert parts("markov", paths) == {"a": (0.5, 0), "b": (1, 0), "c": (0.5, 0)}
    # Order 2: 1/2 in all, without a 0, without b 0, without c 1/2: effects 1/2, 1/2, 0.
    assert parts("markov", paths, order=2) == {"a": (1, 0), "b": (1, 0)}


def test_markov_with_a_loop():
    # a → a 1/3, a → conversion 1/3, a → b 1/3, b → a 1: from a the end is certain; without b it is 1/2.
    paths = [Path(("a", "a", "b", "a"), (4.0, 3.0, 2.0, 1.0), 1)]
    # Effects: a 1, b 1 - (1/3) / (1 - 1/3) = 1/2.
    assert parts("markov", paths) == {"a": (2 / 3, 0), "b": (1 / 3, 0)}


def test_shapley():
    # The conversions are two games: 2 that a and b win together, 1 each; 1 that b wins alone.
    assert parts("shapley") == {"a": (1, 20), "b": (1 + 1, 20 + 60)}
    assert parts("shapley", [Path(("a", "b", "a"), (3.0, 2.0, 1.0), 1)]) == {"a": (0.5, 0), "b": (0.5, 0)}


def test_shapley_by_rate():
    # v(a) = 0/1, v(b) = 1/1, v(ab) = 3/4. a: ((0 - 0) + (3/4 - 1)) / 2 = -1/8, b: ((1 - 0) + (3/4 - 0)) / 2 = 7/8.
    # Times 4 paths: -0.5 and 3.5. Worth: v(b) = 60, v(ab) = 100/4; a: (25 - 60) / 2 · 4 = -70, b: (60 + 25) / 2 · 4.
    assert parts("shapley_rate") == {"a": (-0.5, -70), "b": (3.5, 170)}


def test_too_many_players_and_too_many_states_are_refused_alone():
    many = [Path((f"c{i}", f"c{i + 1}"), (2.0, 1.0), 1) for i in range(PLAYERS)]
    found = attribute(many, MODELS, Tuning())
    refused = {name: credits for name, credits in found.items() if isinstance(credits, Refused)}
    assert {name: error.code for name, error in refused.items()} == {"shapley_rate": "attribution.too_many_players"}
    assert len(of("shapley_rate", many[:-1])) == PLAYERS
    touches = tuple(f"{x}" for i in range(STATES // 2) for x in (i, "x"))  # after each x comes something new
    (answer,) = attribute(
        [Path(touches, tuple(map(float, range(len(touches)))))] * 2, ["markov"], Tuning(order=2)
    ).values()
    assert isinstance(answer, Refused)
    assert answer.code == "attribution.too_fine"


def test_nothing_at_all():
    for paths in ([], [Path(("a",), (1.0,), 0, nulls=3)]):
        for name in MODELS:
            assert not any(any(credit) for credit in of(name, paths).values())


LABELS = "abcde"
PATH = st.builds(
    lambda touches, ages, conversions, worth, nulls: Path(
        tuple(touches),
        tuple(sorted((float(age) for age in ages[: len(touches)]), reverse=True)),
        conversions,
        conversions * worth,
        nulls,
    ),
    st.lists(st.sampled_from(LABELS), min_size=1, max_size=6),
    st.lists(st.integers(0, 90 * int(DAY)), min_size=6, max_size=6),
    st.integers(0, 50),
    st.floats(0, 1e4),
    st.integers(0, 50),
)
ANY = st.lists(PATH, min_size=1, max_size=12)
FEW = settings(max_examples=40)


@FEW
@given(ANY, st.integers(1, 3), st.sampled_from([(0.4, 0.2, 0.4), (0.0, 1.0, 0.0), (0.7, 0.0, 0.3)]))
def test_everything_is_given_once(paths: list[Path], order: int, position: tuple[float, float, float]):
    conversions, value = sum(p.conversions for p in paths), sum(p.value for p in paths)
    for name in MODELS:
        credits = of(name, paths, order=order, position=position).values()
        assert sum(c.conversions for c in credits) == pytest.approx(conversions, rel=1e-9, abs=1e-9)
        assert sum(c.value for c in credits) == pytest.approx(value, rel=1e-9, abs=1e-9)
        if name != "shapley_rate":
            assert all(c.conversions >= 0 and c.value >= 0 for c in credits)


@FEW
@given(ANY, st.randoms(use_true_random=False), st.permutations(LABELS))
def test_neither_order_nor_names_matter(paths: list[Path], dice: Any, names: list[str]):
    other = dict(zip(LABELS, names, strict=True))
    renamed = [p._replace(touches=tuple(other[label] for label in p.touches)) for p in paths]
    dice.shuffle(renamed)
    # One path of two people is two paths of one.
    split = [
        half for p in renamed for half in [p._replace(conversions=p.conversions / 2, value=p.value / 2, nulls=0)] * 2
    ]
    split += [p._replace(conversions=0, value=0) for p in renamed]
    for name in MODELS:
        before, after, apart = of(name, paths), of(name, renamed), of(name, split)
        for label in LABELS:
            mine = before.get(label, (0, 0))
            assert after.get(other[label], (0, 0)) == pytest.approx(mine, rel=1e-7, abs=1e-7)
            assert apart.get(other[label], (0, 0)) == pytest.approx(mine, rel=1e-7, abs=1e-7)


@FEW
@given(ANY)
def test_who_does_nothing_gets_nothing(paths: list[Path]):
    # x is there where nobody converts, and nowhere else.
    idle = [*paths, Path(("x", "a"), (2.0, 1.0), 0, nulls=4), Path(("x",), (1.0,), 0, nulls=3)]
    for name in MODELS:
        if name not in ("markov", "shapley_rate"):
            assert of(name, idle).get("x", (0, 0)) == (0, 0)
    # By rate that is no dummy: it is there where the rate is lower. Who changes no rate is one.
    twins = [q for p in paths for q in (p, p._replace(touches=(*p.touches, "x"), ages=(*p.ages, 0.0)))]
    assert of("shapley_rate", twins).get("x", (0, 0)) == pytest.approx((0, 0), abs=1e-7)
    # Its removal changes nothing where no walk through it converts.
    apart = [*paths, Path(("x", "y"), (2.0, 1.0), 0, nulls=4)]
    assert of("markov", apart).get("x", (0, 0)) == (0, 0)


@FEW
@given(ANY)
def test_who_does_the_same_gets_the_same(paths: list[Path]):
    swapped = {"a": "b", "b": "a"}
    both = [*paths, *(p._replace(touches=tuple(swapped.get(label, label) for label in p.touches)) for p in paths)]
    for name in MODELS:
        credits = of(name, both)
        assert credits.get("a", (0, 0)) == pytest.approx(credits.get("b", (0, 0)), rel=1e-7, abs=1e-7)


@FEW
@given(ANY, st.integers(1, 4))
def test_removal_effects_are_those_of_a_dense_solver(paths: list[Path], order: int):
    """Against numpy: the chain as a matrix, and one linear system for each label that is removed."""
    states: list[tuple[str, ...]] = [()]
    moves: list[tuple[tuple[str, ...], Any, float]] = []
    for p in paths:
        walk = [p.touches[max(0, n - order) : n] for n in range(1, len(p.touches) + 1)]
        states += walk
        moves += [(a, b, p.conversions + p.nulls) for a, b in zip([(), *walk], walk, strict=False)]
        moves.append((walk[-1], "end", p.conversions + p.nulls))
        moves.append((walk[-1], "conversion", p.conversions))
    index = {state: i for i, state in enumerate(dict.fromkeys(states))}
    inside, ends = np.zeros((len(index), len(index))), {"conversion": np.zeros(len(index)), "end": np.zeros(len(index))}
    for a, b, n in moves:
        if isinstance(b, str):
            ends[b][index[a]] += n
        else:
            inside[index[a], index[b]] += n
    out = np.maximum(inside.sum(1) + ends["end"], 1e-300)
    used = out > 1e-300

    def probability(without: str) -> float:
        kept = [i for state, i in index.items() if used[i] and (not state or state[-1] != without)]
        if 0 not in kept:
            return 0.0
        q, r = inside[np.ix_(kept, kept)] / out[kept][:, None], ends["conversion"][kept] / out[kept]
        return float(np.linalg.solve(np.eye(len(kept)) - q, r)[0])

    effects: Mapping[str, float] = {label: probability("") - probability(label) for label in LABELS}
    conversions, whole = sum(p.conversions for p in paths), sum(effects.values())
    credits = of("markov", paths, order=order)
    for label in LABELS:
        expected = conversions * effects[label] / whole if conversions else 0.0
        assert credits.get(label, (0, 0))[0] == pytest.approx(expected, rel=1e-7, abs=1e-7)


@FEW
@given(ANY)
def test_shapley_is_the_mean_over_all_orders(paths: list[Path]):
    """Against the definition: players join in every order, and each is paid what its coming adds."""

    def worth(coalition: set[str], *, rate: bool) -> float:
        within = [p for p in paths if set(p.touches) <= coalition]
        conversions, of_all = sum(p.conversions for p in within), sum(p.conversions + p.nulls for p in within)
        return (conversions / of_all if of_all else 0.0) if rate else conversions

    players = sorted({label for p in paths for label in p.touches})
    number = sum(p.conversions + p.nulls for p in paths)
    for name, rate in (("shapley", False), ("shapley_rate", True)):
        paid = dict.fromkeys(players, 0.0)
        orders = list(permutations(players))
        known = {s: worth(set(s), rate=rate) for o in orders for i in range(len(o) + 1) for s in [frozenset(o[:i])]}
        for o in orders:
            for i, player in enumerate(o):
                paid[player] += (known[frozenset(o[: i + 1])] - known[frozenset(o[:i])]) / len(orders)
        credits = of(name, paths)
        for player in players:
            expected = paid[player] * (number if rate else 1)
            assert credits.get(player, (0, 0))[0] == pytest.approx(expected, rel=1e-9, abs=1e-9)
