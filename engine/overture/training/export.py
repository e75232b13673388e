"""Models of scikit-learn as artefacts: the same predictions, to the last digits, without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from overture.model.artefact import Linear, Tree, Trees


def linear(
    model: Any, edition: str, names: Sequence[str], means: Sequence[float], scales: Sequence[float], examples: int
) -> Linear:
    """A fitted LogisticRegression over those columns, each less its mean, by its scale."""
    weights: list[float] = model.coef_[0].tolist()
    return Linear(
        edition,
        float(model.intercept_[0]),
        {name: weight for name, weight in zip(names, weights, strict=True) if weight},
        {name: mean for name, mean in zip(names, means, strict=True) if mean},
        {name: scale for name, scale in zip(names, scales, strict=True) if scale != 1},
        examples=examples,
    )


def trees(model: Any, edition: str, names: Sequence[str], count: int, examples: int) -> Trees:
    """The first trees of a fitted HistGradientBoostingClassifier, of two classes and with no categorical feature."""
    return Trees(
        edition,
        float(model._baseline_prediction.ravel()[0]),
        list(names),
        [_tree(predictors[0].nodes) for predictors in model._predictors[:count]],
        examples=examples,
    )


def _tree(nodes: Any) -> Tree:
    """scikit-learn's nodes, whose inner ones have no usable value: it is the mean of the leaves below, by examples."""
    size = len(nodes)
    leaf: list[bool] = [bool(node["is_leaf"]) for node in nodes]
    children = [(int(node["left"]), int(node["right"])) for node in nodes]
    counts: list[int] = [int(node["count"]) for node in nodes]
    values: list[float] = [float(node["value"]) for node in nodes]
    for at in reversed(range(size)):
        if not leaf[at]:
            low, high = children[at]
            values[at] = (values[low] * counts[low] + values[high] * counts[high]) / (counts[low] + counts[high])
    return Tree(
        [-1 if leaf[at] else int(nodes[at]["feature_idx"]) for at in range(size)],
        [0.0 if leaf[at] else float(nodes[at]["num_threshold"]) for at in range(size)],
        [0 if leaf[at] else children[at][0] for at in range(size)],
        [0 if leaf[at] else children[at][1] for at in range(size)],
        [bool(node["missing_go_to_left"]) for node in nodes],
        values,
    )
