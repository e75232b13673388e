"""What was learned, as plain data: JSON that says everything a prediction needs, and no code.

An artefact never changes: its version is the digest of its bytes. Who makes one (the learner of a running server, or
`overture train`) writes JSON; who reads one checks it before anything is predicted by it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from math import exp, isfinite, log
from typing import NamedTuple

import msgspec

from overture.model.errors import Refused

FEATURES = 64  # of one model
VALUES = 64  # texts of one feature that have a weight of their own; what is beyond them has none
TEXT = 64  # characters of a text that tell it from others
TREES = 1_000
NODES = 65_536  # of all trees together
ARMS = 4_096
SIZE = 4 << 20  # bytes of an artefact
LARGEST = 1e18  # a number of it is less than this; facts have up to 2**53
LEAST_SCALE = 1e-30  # a scale is more than this: then no prediction overflows

Feature = float | bool | str | None
"""What a feature is for one contact; None: it is missing."""


class Platt(msgspec.Struct, frozen=True, tag="platt", tag_field="kind", forbid_unknown_fields=True):
    """The logarithm of the odds becomes ``slope`` times itself and ``offset``."""

    slope: float = 1.0
    offset: float = 0.0


class Isotonic(msgspec.Struct, frozen=True, tag="isotonic", tag_field="kind", forbid_unknown_fields=True):
    """By a table: ``raw`` logarithms of odds, rising, and the ``probability`` of each; straight lines between them."""

    raw: list[float]
    probability: list[float]


class Linear(msgspec.Struct, frozen=True, tag="linear", tag_field="kind", forbid_unknown_fields=True):
    """A logistic regression over columns (see `columns`): weight × (value − mean) ÷ scale, each added to ``intercept``.

    ``means`` and ``scales`` name columns that are not taken as they are; a column without a weight says nothing.
    """

    edition: str
    intercept: float
    weights: dict[str, float]
    means: dict[str, float] = {}
    scales: dict[str, float] = {}
    calibration: Platt | Isotonic = Platt()
    examples: int = 0
    about: dict[str, float | str] = {}


class Tree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Its nodes, by number; 0 is the root, and children have higher numbers than their parent.

    ``column`` is a position in `Trees.columns`, −1 for a leaf. A value up to ``threshold`` goes ``left``, a missing one
    where ``missing`` says (true: left). ``value``: what a leaf adds to the logarithm of the odds; of another node the
    mean over the examples below it, so that what a split changes is known.
    """

    column: list[int]
    threshold: list[float]
    left: list[int]
    right: list[int]
    missing: list[bool]
    value: list[float]


class Trees(msgspec.Struct, frozen=True, tag="trees", tag_field="kind", forbid_unknown_fields=True):
    """The sum of trees over columns (see `columns`) and of ``intercept``, a logarithm of odds."""

    edition: str
    intercept: float
    columns: list[str]
    trees: list[Tree]
    calibration: Platt | Isotonic = Platt()
    examples: int = 0
    about: dict[str, float | str] = {}


class Posterior(msgspec.Struct, frozen=True, tag="posterior", tag_field="kind", forbid_unknown_fields=True):
    """Outcomes by arm: how often good, and how often not; they may be weighted. ``best``: how probable it is of each to
    be the best of all; it is part of what was learned, so that it decides the same wherever it is read.
    """

    edition: str
    arms: dict[str, tuple[float, float]]
    examples: int = 0
    about: dict[str, float | str] = {}
    best: dict[str, float] = {}


Predictor = Linear | Trees
Artefact = Linear | Trees | Posterior
"""``edition``: of the question that it answers (`overture.rules.learning.Model.edition`). ``about``: what its maker
notes down for people, such as ``auc``; nothing is decided by it.
"""

_decoder: msgspec.json.Decoder[Artefact] = msgspec.json.Decoder(Artefact)


def pack(artefact: Artefact) -> bytes:
    """Its canonical bytes."""
    as_read = _decoder.decode(msgspec.json.encode(artefact))  # a whole number that is read is a float
    return msgspec.json.encode(as_read, order="deterministic")


def digest_of(blob: bytes) -> str:
    """The version that canonical bytes are: 16 hexadecimal digits."""
    return sha256(blob).hexdigest()[:16]


def digest(artefact: Artefact) -> str:
    """Its version."""
    return digest_of(pack(artefact))


def unpack(blob: bytes) -> Artefact:
    """Raises Refused ``artefact.wrong`` (422) where these are no bytes that anything can be predicted by."""
    if len(blob) > SIZE:
        raise _wrong(f"it has {len(blob)} bytes, more than {SIZE}")
    try:
        artefact = _decoder.decode(blob)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _wrong(str(error)) from error
    match artefact:
        case Linear():
            _finite([artefact.intercept, *artefact.weights.values(), *artefact.means.values()])
            _finite(list(artefact.scales.values()), least=LEAST_SCALE)
            _check_calibration(artefact.calibration)
        case Trees():
            _finite([artefact.intercept])
            _check_trees(artefact)
            _check_calibration(artefact.calibration)
        case Posterior():
            if len(artefact.arms) > ARMS:
                raise _wrong(f"it has more than {ARMS} arms")
            _finite([n + 1 for counts in artefact.arms.values() for n in counts], least=0.5)
            _finite([n + 1 for n in artefact.best.values()], least=0.5)
            if artefact.best and (artefact.best.keys() != artefact.arms.keys() or not _whole(artefact.best.values())):
                raise _wrong("what is said of each arm to be the best does not come to 1")
    return artefact


class Prediction(NamedTuple):
    """``contributions``, by feature, in logarithms of odds: over 0 speaks for it. Those that are 0 are left out."""

    probability: float
    contributions: dict[str, float]


def predict(artefact: Predictor, features: Mapping[str, Feature]) -> Prediction:
    """How likely it is. A text that was never seen, and a feature that is not known, say nothing."""
    values = columns(features)
    base, found = _linear(artefact, values) if isinstance(artefact, Linear) else _trees(artefact, values)
    total = base + sum(found.values())
    calibration, slope = artefact.calibration, 1.0
    if isinstance(calibration, Platt):
        slope = calibration.slope
        probability = sigmoid(slope * total + calibration.offset)
    else:
        probability = _between(calibration, total)
    by_feature: dict[str, float] = {}
    for column, n in found.items():
        name = feature_of(column)
        by_feature[name] = by_feature.get(name, 0.0) + slope * n
    return Prediction(probability, {name: n for name, n in by_feature.items() if n})


def columns(features: Mapping[str, Feature]) -> dict[str, float]:
    """The numbers that features are learned by: a number is one of its own name; of a text or a boolean ``name=value``
    is 1; of what is missing ``name?`` is 1.
    """
    found: dict[str, float] = {}
    for name, value in features.items():
        if value is None:
            found[f"{name}?"] = 1.0
        elif isinstance(value, bool):
            found[f"{name}={'true' if value else 'false'}"] = 1.0
        elif isinstance(value, str):
            found[f"{name}={value[:TEXT]}"] = 1.0
        else:
            found[name] = float(value)
    return found


def feature_of(column: str) -> str:
    """The feature that a column is of."""
    return column.partition("=")[0].removesuffix("?")


def sigmoid(x: float) -> float:
    """The probability of which ``x`` is the logarithm of the odds."""
    return 1 / (1 + exp(-x)) if x >= 0 else (e := exp(max(x, -700.0))) / (1 + e)


def logit(probability: float) -> float:
    """The logarithm of the odds; of what is nearly 0 or 1, that of a millionth."""
    p = min(max(probability, 1e-6), 1 - 1e-6)
    return log(p / (1 - p))


def _linear(artefact: Linear, values: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    found: dict[str, float] = {}
    for column, value in values.items():
        if weight := artefact.weights.get(column):
            centred = value - artefact.means.get(column, 0.0)
            found[column] = weight * centred / artefact.scales.get(column, 1.0)
    return artefact.intercept, found


def _trees(artefact: Trees, values: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    """Each split adds what it changes to its feature; where a tree begins counts for none."""
    row = _row(artefact.columns, values)
    found: dict[str, float] = {}
    base = artefact.intercept
    for tree in artefact.trees:
        at = 0
        base += tree.value[0]
        while (column := tree.column[at]) >= 0:
            value = row[column]
            low = tree.missing[at] if value is None else value <= tree.threshold[at]
            below = tree.left[at] if low else tree.right[at]
            name = artefact.columns[column]
            found[name] = found.get(name, 0.0) + tree.value[below] - tree.value[at]
            at = below
    return base, found


def _row(names: Sequence[str], values: Mapping[str, float]) -> list[float | None]:
    """The columns in their order: ``name=value`` and ``name?`` are 0 where they are not 1; a number may be missing."""
    return [values.get(name, 0.0 if "=" in name or name.endswith("?") else None) for name in names]


def _between(table: Isotonic, x: float) -> float:
    raw, probability = table.raw, table.probability
    at = bisect_right(raw, x)
    if at == 0:
        return probability[0]
    if at == len(raw):
        return probability[-1]
    share = (x - raw[at - 1]) / (raw[at] - raw[at - 1])
    return probability[at - 1] + share * (probability[at] - probability[at - 1])


def _check_trees(artefact: Trees) -> None:
    total = 0
    for tree in artefact.trees:
        n = len(tree.column)
        total += n
        parts = (tree.threshold, tree.left, tree.right, tree.missing, tree.value)
        if not n or any(len(part) != n for part in parts):
            raise _wrong("the arrays of a tree differ in length")
        _finite([*tree.value, *tree.threshold])
        for at, column in enumerate(tree.column):
            if column >= len(artefact.columns):
                raise _wrong(f"a tree asks for column {column}, which is not there")
            if column >= 0 and not all(at < below < n for below in (tree.left[at], tree.right[at])):
                raise _wrong("a child in a tree is not behind its parent")
    if len(artefact.trees) > TREES or total > NODES:
        raise _wrong(f"it has more than {TREES} trees or {NODES} nodes")


def _check_calibration(calibration: Platt | Isotonic) -> None:
    if isinstance(calibration, Platt):
        return _finite([calibration.slope, calibration.offset])
    raw, probability = calibration.raw, calibration.probability
    if not raw or len(raw) != len(probability):
        raise _wrong("the two rows of the calibration differ in length, or are empty")
    _finite(raw)
    if any(a >= b for a, b in pairwise(raw)) or any(a > b for a, b in pairwise(probability)):
        raise _wrong("the calibration does not rise")
    if probability[0] < 0 or probability[-1] > 1:
        raise _wrong("the calibration has probabilities that are none")


def _whole(parts: Iterable[float]) -> bool:
    return abs(sum(parts) - 1) < 1e-6


def _finite(numbers: Sequence[float], least: float | None = None) -> None:
    if not all(isfinite(n) and abs(n) < LARGEST and (least is None or n > least) for n in numbers):
        raise _wrong("it has a number that is not usable")


def _wrong(why: str) -> Refused:
    return Refused(
        "artefact.wrong",
        f"This is no artefact that anything can be predicted by: {why[:200]}.",
        "docs/models.md says what one is.",
        status=422,
    )
