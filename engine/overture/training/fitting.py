"""Fitting a model to examples with scikit-learn. What comes of it is an artefact: weights or trees, as data.

What is fitted is calibrated on later examples that it has not seen. The same examples give the same artefact.
"""

# pyright: reportUnknownMemberType=false
# numpy from 2.5 on leaves parts of its own signatures without types.

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from overture.model import Refused
from overture.model.artefact import VALUES, Feature, Isotonic, Linear, Platt, Trees, columns, feature_of
from overture.model.numbers import NUMBER_LIMIT
from overture.training import export

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, Any]

Kind = Literal["logistic", "boosting"]

_ROUNDS = 400  # trees at most
_LEAVES = 8
_LEAST = 40  # examples in a leaf
_RATE = 0.05
_TABLED = 2_000  # examples from which on a table may calibrate better than a curve
_ROWS = 25

Rows = Sequence[Mapping[str, Feature]]
Columned = Sequence[Mapping[str, float]]


def require_sklearn() -> None:
    """Raises Refused ``train.not_installed``."""
    try:
        import sklearn  # noqa: F401  # pyright: ignore[reportUnusedImport,reportMissingTypeStubs]
    except ImportError as error:
        raise Refused(
            "train.not_installed",
            "Training needs scikit-learn, which is not installed.",
            "Install it with: pip install 'overture[learning]'",
        ) from error


def fit(
    kind: Kind,
    edition: str,
    rows: Rows,
    outcomes: Sequence[bool],
    later: Rows,
    their_outcomes: Sequence[bool],
    seed: int,
) -> Linear | Trees:
    """Fitted to ``rows``, calibrated on ``later`` ones. In both some have the outcome and some have not.

    Raises Refused ``train.not_installed``.
    """
    require_sklearn()
    from threadpoolctl import threadpool_limits  # pyright: ignore[reportMissingTypeStubs]

    columned, unseen = [columns(row) for row in rows], [columns(row) for row in later]
    names = _chosen(columned)
    make = _logistic if kind == "logistic" else _boosting
    with threadpool_limits(1), warnings.catch_warnings():  # one thread: sums in one order
        warnings.simplefilter("ignore")
        return make(edition, names, columned, outcomes, unseen, their_outcomes, seed)


def _chosen(rows: Columned) -> list[str]:
    """The columns to learn by: those that tell examples apart; of a text the values that are most frequent."""
    seen: Counter[str] = Counter()
    for row in rows:
        seen.update(row)
    kept: dict[str, list[str]] = {}
    for name in sorted(seen, key=lambda name: (-seen[name], name)):
        of = kept.setdefault(feature_of(name) if "=" in name else name, [])
        if len(of) < VALUES and not (_is_mark(name) and seen[name] == len(rows)):
            of.append(name)
    return sorted(name for each in kept.values() for name in each)


def _is_mark(name: str) -> bool:
    """Whether a column is 1 or not there, as opposed to a number."""
    return "=" in name or name.endswith("?")


def _matrix(names: Sequence[str], rows: Columned) -> Numbers:
    """A mark that is not there is 0, a number that is not there is none."""
    import numpy as np

    absent = [0.0 if _is_mark(name) else np.nan for name in names]
    return np.array([[row.get(n, a) for n, a in zip(names, absent, strict=True)] for row in rows], dtype=float)


def _logistic(
    edition: str,
    names: list[str],
    rows: Columned,
    outcomes: Sequence[bool],
    later: Columned,
    theirs: Sequence[bool],
    seed: int,
) -> Linear:
    """A number that is missing counts as the mean does; that it is missing is a column of its own."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]

    x = _matrix(names, rows)
    means, scales = np.zeros(len(names)), np.ones(len(names))
    for n, name in enumerate(names):
        if not _is_mark(name):
            there = x[:, n][~np.isnan(x[:, n])]
            means[n], deviation = there.mean(), there.std()
            scales[n] = deviation if deviation > 1e-9 else 1.0

    def scaled(matrix: Numbers) -> Numbers:
        return np.nan_to_num((matrix - means) / scales, nan=0.0)

    model: Any = LogisticRegression(max_iter=2000, random_state=seed)
    model.fit(scaled(x), outcomes)
    found = export.linear(model, edition, names, means.tolist(), scales.tolist(), len(rows))
    return replace(found, calibration=_calibration(model.decision_function(scaled(_matrix(names, later))), theirs))


def _boosting(
    edition: str,
    names: list[str],
    rows: Columned,
    outcomes: Sequence[bool],
    later: Columned,
    theirs: Sequence[bool],
    seed: int,
) -> Trees:
    """As many trees as predict the later examples best."""
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier  # pyright: ignore[reportMissingTypeStubs]

    model: Any = HistGradientBoostingClassifier(
        learning_rate=_RATE,
        max_iter=_ROUNDS,
        max_leaf_nodes=_LEAVES,
        min_samples_leaf=_LEAST,
        l2_regularization=1.0,
        early_stopping=False,  # pyright: ignore[reportArgumentType]
        random_state=seed,
    )
    model.fit(_matrix(names, rows), outcomes)
    sign = np.where(np.asarray(theirs), -1.0, 1.0)
    staged: list[Numbers] = [np.ravel(raw) for raw in model.staged_decision_function(_matrix(names, later))]
    best = int(np.argmin([np.logaddexp(0, sign * raw).mean() for raw in staged]))
    found = export.trees(model, edition, names, best + 1, len(rows))
    return replace(found, calibration=_calibration(staged[best], theirs))


def _calibration(raw: Numbers, outcomes: Sequence[bool]) -> Platt | Isotonic:
    """How logarithms of odds become probabilities that are as likely as they say, on examples that were not learned.

    A table where there are many of them and it does better on the later half, made of the earlier one.
    """
    import numpy as np

    y = np.asarray(outcomes, dtype=float)
    half = len(y) // 2
    early, late = slice(None, half), slice(half, None)
    if len(y) < _TABLED or not all(_LEAST < y[part].sum() < half - _LEAST for part in (early, late)):
        return _platt(raw, y)
    platt, table = _platt(raw[early], y[early]), _table(raw[early], y[early])
    by_platt = 1 / (1 + np.exp(-(platt.slope * raw[late] + platt.offset)))
    by_table = np.interp(raw[late], table.raw, table.probability)
    better = _loss(by_table, y[late]) < _loss(by_platt, y[late])
    return _table(raw, y) if better else _platt(raw, y)


def _platt(raw: Numbers, outcomes: Numbers) -> Platt:
    from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]

    model: Any = LogisticRegression(C=1e6, max_iter=1000)
    model.fit(raw.reshape(-1, 1), outcomes)
    return Platt(float(model.coef_[0][0]), float(model.intercept_[0]))


def _table(raw: Numbers, outcomes: Numbers) -> Isotonic:
    """How many had the outcome in each of as many parts of the same size; more of it never makes it less likely."""
    import numpy as np
    from sklearn.isotonic import IsotonicRegression  # pyright: ignore[reportMissingTypeStubs]

    order = np.argsort(raw, kind="stable")
    parts = [part for part in np.array_split(order, _ROWS) if len(part)]
    middles = np.array([raw[part].mean() for part in parts])
    model: Any = IsotonicRegression(y_min=1e-4, y_max=1 - 1e-4)
    rising = model.fit_transform(middles, np.array([outcomes[part].mean() for part in parts]))
    middles, first = np.unique(middles, return_index=True)
    return Isotonic(middles.tolist(), rising[first].tolist())


def _loss(probability: Numbers, outcomes: Numbers) -> float:
    import numpy as np

    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return float(-(outcomes * np.log(p) + (1 - outcomes) * np.log(1 - p)).mean())


def rates(said: Sequence[float], outcomes: Sequence[bool]) -> Callable[[Sequence[float]], list[float]]:
    """What a plain rule said, as probabilities: how often it was so where it said as much, and never less for more."""
    import numpy as np
    from sklearn.isotonic import IsotonicRegression  # pyright: ignore[reportMissingTypeStubs]

    def finite(values: Sequence[float]) -> Numbers:
        return np.maximum(np.asarray(values, dtype=float), -NUMBER_LIMIT)

    model: Any = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    model.fit(finite(said), np.asarray(outcomes, dtype=float))
    return lambda values: model.predict(finite(values)).tolist()
