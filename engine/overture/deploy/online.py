"""Online logistic regression: one example after the other, each predicted before it is learned from.

All that is known between two examples is a `Learned`: who takes it up again comes to the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from math import log
from typing import Any

import msgspec

from overture.model.artefact import (
    LEAST_SCALE,
    VALUES,
    Feature,
    Linear,
    Platt,
    columns,
    feature_of,
    logit,
    sigmoid,
)
from overture.model.example import Outcome
from overture.model.ids import digest
from overture.model.learned import Learned, Row

RECENT = 2_000  # examples that are measured and calibrated by
LEAST = 100  # examples before anything is decided by what was learned
LEAST_EACH = 10  # of them with the outcome, and without
LEAST_SEEN = 5  # examples with a text before it says something
WATCHED = 4 * VALUES  # texts of one feature that are counted
BINS = 10
RATE = 0.1
DRAW = 10.0  # towards no calibration at all: as if so much was known of it beforehand
BIAS = ""  # the column that is always 1


class Bin(msgspec.Struct, frozen=True):
    """Of ``examples`` that were predicted alike: how probable on average, and how many of them it really was."""

    predicted: float
    observed: float
    examples: int


class Measured(msgspec.Struct, frozen=True):
    """How good predictions were, each made before its outcome was known, over the last examples. ``base_log_loss``: of
    saying the base rate every time. ``auc``: null where all examples have the same outcome.
    """

    examples: int
    base_rate: float
    log_loss: float
    base_log_loss: float
    auc: float | None
    calibration: list[Bin]


def available() -> bool:
    """Whether river is installed."""
    return find_spec("river") is not None


def learn(known: Learned, examples: Iterable[tuple[dict[str, Feature], bool]]) -> None:
    """Learn from examples in their order. Needs river."""
    from river import linear_model, optim, preprocessing, utils

    optimizer: Any = optim.AdaGrad(RATE)
    optimizer.g2.update(known.squares)
    model: Any = linear_model.LogisticRegression(optimizer, l2=1e-5, intercept_lr=0.0, clip_gradient=1e3)
    model._weights = utils.VectorDict(known.weights)  # river has no other way to take weights up again
    scaler: Any = preprocessing.StandardScaler()
    scaler.counts.update(known.counts)
    scaler.means.update(known.means)
    scaler.vars.update(known.variances)
    for features, met in examples:
        numbers, marks = _split(known, features)
        scaler.learn_one(numbers)
        row = {**scaler.transform_one(numbers), **dict.fromkeys(marks, 1.0), BIAS: 1.0}
        weights: dict[str, float] = model.weights
        raw = sum(weights.get(name, 0.0) * value for name, value in row.items())
        said = sigmoid(known.calibration.slope * raw + known.calibration.offset)
        known.recent.append(Row(raw, said, met))
        known.examples += 1
        known.yes += met
        model.learn_one(row, met)
    del known.recent[:-RECENT]
    known.weights = dict(model.weights)
    known.squares = dict(optimizer.g2)
    known.counts, known.means, known.variances = dict(scaler.counts), dict(scaler.means), dict(scaler.vars)
    known.calibration = calibrated(known.recent)


def _split(known: Learned, features: dict[str, Feature]) -> tuple[dict[str, float], list[str]]:
    """Numbers, and the marks (of texts, of what is missing) that were there often enough to say something."""
    numbers: dict[str, float] = {}
    marks: list[str] = []
    for column, value in columns(features).items():
        if "=" not in column and not column.endswith("?"):
            numbers[column] = value
            continue
        feature, kept = feature_of(column), _kept(column)
        if kept not in known.seen and _of(known, feature, 1) >= WATCHED:
            continue
        n = known.seen[kept] = known.seen.get(kept, 0) + 1
        if column in known.weights or (n >= LEAST_SEEN and _of(known, feature, LEAST_SEEN) <= VALUES):
            marks.append(column)
    return numbers, marks


def _kept(column: str) -> str:
    """As what a text is counted: what only few have may name one of them, who may be erased."""
    feature, told, text = column.partition("=")
    return f"{feature}={digest('text', text)[:8].hex()}" if told else column


def _of(known: Learned, feature: str, often: int) -> int:
    """How many texts of a feature were there so often."""
    return sum(n >= often and feature_of(kept) == feature for kept, n in known.seen.items())


def watch(known: Learned, outcomes: Iterable[Outcome]) -> None:
    """Measure what was said when the contacts were scored, by what came: of a model that is trained elsewhere."""
    for outcome in outcomes:
        if outcome.version:
            known.examples += 1
            known.yes += outcome.met
            known.recent.append(Row(logit(outcome.probability), outcome.probability, outcome.met))
    del known.recent[:-RECENT]


def artefact(known: Learned, edition: str, now: int) -> Linear:
    """What decides, made of what is known."""
    scales = {name: scale for name, variance in known.variances.items() if (scale := variance**0.5) > LEAST_SCALE}
    numbers = known.means.keys()
    weights = {n: w for n, w in known.weights.items() if w and n != BIAS and (n not in numbers or n in scales)}
    measured = measure(known.recent)
    about: dict[str, float | str] = {"at": now}
    if measured is not None:
        about |= {"base_rate": round(measured.base_rate, 4), "log_loss": round(measured.log_loss, 4)}
        about |= {} if measured.auc is None else {"auc": round(measured.auc, 4)}
    return Linear(
        edition,
        known.weights.get(BIAS, 0.0),
        weights,
        {name: mean for name, mean in known.means.items() if name in weights},
        {name: scale for name, scale in scales.items() if name in weights},
        known.calibration,
        known.examples,
        about,
    )


def why_not(known: Learned) -> str:
    """Why nothing is to be decided by what was learned so far; empty where it may."""
    measured = measure(known.recent)
    no = known.examples - known.yes
    if measured is None or known.examples < LEAST or min(known.yes, no) < LEAST_EACH:
        told = f"{known.examples} examples, {known.yes} of them yes"
        return f"It has {told}; it needs {LEAST}, and {LEAST_EACH} of each kind."
    if measured.log_loss >= measured.base_log_loss:
        return "So far it predicts no better than the base rate."
    return ""


def differs(a: Linear, b: Linear) -> float:
    """By how much the logarithm of odds of an ordinary contact may differ, about."""
    names = a.weights.keys() | b.weights.keys()
    moved = sum(abs(a.weights.get(name, 0.0) - b.weights.get(name, 0.0)) for name in names)
    one, other = a.calibration, b.calibration
    if isinstance(one, Platt) and isinstance(other, Platt):
        moved += abs(one.slope - other.slope) + abs(one.offset - other.offset)
    return moved + abs(a.intercept - b.intercept)


def calibrated(recent: list[Row]) -> Platt:
    """Slope and offset with which the raw predictions would have been right (Platt 1999), by Newton's method; drawn
    towards 1 and 0, so that few examples change little.
    """
    slope, offset = 1.0, 0.0
    for _ in range(25):
        g0, g1 = DRAW * (slope - 1), DRAW * offset
        h00, h01, h11 = DRAW, 0.0, DRAW
        for row in recent:
            p = sigmoid(slope * row.raw + offset)
            wrong, weight = p - row.met, p * (1 - p)
            g0 += wrong * row.raw
            g1 += wrong
            h00 += weight * row.raw * row.raw
            h01 += weight * row.raw
            h11 += weight
        determinant = h00 * h11 - h01 * h01
        one, two = (h11 * g0 - h01 * g1) / determinant, (h00 * g1 - h01 * g0) / determinant
        step = max(1.0, abs(one), abs(two))
        slope, offset = slope - one / step, offset - two / step
        if abs(one) + abs(two) < 1e-9:
            break
    return Platt(max(slope, 0.0), offset)


def measure(recent: list[Row]) -> Measured | None:
    """None where there is none."""
    if not recent:
        return None
    n, yes = len(recent), sum(row.met for row in recent)
    rate = yes / n
    loss = sum(_loss(row.probability, row.met) for row in recent) / n
    base = sum(_loss(rate, met) * times for met, times in ((True, yes), (False, n - yes)) if times) / n
    ordered = sorted(recent, key=lambda row: row.probability)
    return Measured(n, rate, loss, base, _auc(ordered, yes), list(_bins(ordered)))


def _loss(p: float, met: bool) -> float:
    p = min(max(p, 1e-9), 1 - 1e-9)
    return -log(p if met else 1 - p)


def _auc(ordered: list[Row], yes: int) -> float | None:
    """How often one with the outcome was given more than one without; half where both were given the same."""
    no = len(ordered) - yes
    if not yes or not no:
        return None
    below = won = 0.0
    at = 0
    while at < len(ordered):
        end = at
        while end < len(ordered) and ordered[end].probability == ordered[at].probability:
            end += 1
        met = sum(row.met for row in ordered[at:end])
        lost = end - at - met
        won += met * (below + lost / 2)
        below += lost
        at = end
    return won / (yes * no)


def _bins(ordered: list[Row]) -> Iterable[Bin]:
    for i in range(BINS):
        part = ordered[i * len(ordered) // BINS : (i + 1) * len(ordered) // BINS]
        if part:
            predicted = sum(row.probability for row in part) / len(part)
            yield Bin(round(predicted, 4), round(sum(row.met for row in part) / len(part), 4), len(part))
