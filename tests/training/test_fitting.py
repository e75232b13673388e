"""Fitting: what is exported predicts as scikit-learn does, the same examples make the same artefact, measures hold."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from overture.model.artefact import Feature, Platt, digest, pack, predict, sigmoid, unpack
from overture.training import export
from overture.training.fitting import Kind, fit
from overture.training.measure import measure


def examples(n: int, seed: int) -> tuple[list[dict[str, Feature]], list[bool]]:
    """Orders and age (often missing) make it likelier, the country DE too; noise says nothing."""
    r = random.Random(seed)
    rows: list[dict[str, Feature]] = []
    outcomes: list[bool] = []
    for _ in range(n):
        orders, age = r.randrange(12), None if r.random() < 0.3 else r.uniform(0, 90)
        country, vip = r.choice(["DE", "FR", "=US?", None]), r.random() < 0.2
        rows.append({"orders": float(orders), "age": age, "country": country, "vip": vip, "noise": r.random()})
        odds = 0.4 * orders - 2.5 - (age or 30) / 40 + (1.2 if country == "DE" else 0) + (1 if vip else 0)
        outcomes.append(r.random() < sigmoid(odds))
    return rows, outcomes


def test_weights_and_trees_predict_as_scikit_learn_does() -> None:
    random = np.random.default_rng(5)
    x = random.normal(size=(600, 4)) * [1, 10, 100, 1]
    x[:, 3] = x[:, 3] > 0
    y = random.random(600) < 1 / (1 + np.exp(-(x[:, 0] + x[:, 1] / 10 - x[:, 3])))
    names = ["a", "b", "c", "d=yes"]
    means, scales = [0.5, 1.0, 2.0, 0.0], [1.0, 3.0, 9.0, 1.0]

    def told(row: Any) -> dict[str, Feature]:
        numbers = {n: None if math.isnan(v) else float(v) for n, v in zip(names[:3], row, strict=False)}
        return {**numbers, "d": "yes" if row[3] else "no"}

    linear: Any = LogisticRegression().fit((x - means) / scales, y)
    artefact = unpack(pack(export.linear(linear, "1", names, means, scales, 600)))
    expected = linear.predict_proba((x - means) / scales)[:, 1]
    assert [predict(artefact, told(row)).probability for row in x] == pytest.approx(expected, abs=1e-9)

    holes = x.copy()
    holes[random.random(600) < 0.3, 1] = np.nan
    trees: Any = HistGradientBoostingClassifier(max_iter=40, random_state=1).fit(holes, y)
    artefact = unpack(pack(export.trees(trees, "1", names, 40, 600)))
    holes[:50, 0] = np.nan  # missing where none was when it was fitted
    expected = trees.predict_proba(holes)[:, 1]
    assert [predict(artefact, told(row)).probability for row in holes] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("kind", ["logistic", "boosting"])
def test_what_is_fitted_ranks_is_as_likely_as_it_says_and_is_the_same_again(kind: Kind) -> None:
    rows, outcomes = examples(2500, 1)
    later, theirs = examples(700, 2)
    artefact = fit(kind, "e", rows, outcomes, later, theirs, 7)
    assert digest(artefact) == digest(fit(kind, "e", rows, outcomes, later, theirs, 7))
    assert (artefact.edition, artefact.examples) == ("e", 2500)
    assert artefact.calibration != Platt()
    unseen, whether = examples(1500, 3)
    predicted = [predict(artefact, row) for row in unseen]
    found = measure([p.probability for p in predicted], whether, [str(n) for n in range(1500)], 1)
    assert found.auc.value > 0.78
    assert found.ece < 0.06
    shares = predict(artefact, {"orders": 11.0, "age": 5.0, "country": "DE", "vip": True, "noise": 0.5}).contributions
    assert max(shares, key=lambda name: shares[name]) == "orders"
    unknown = predict(artefact, {"orders": 3.0, "country": "Atlantis"}).probability
    assert 0 < unknown < 1


def test_measures_are_those_of_the_book() -> None:
    r = random.Random(4)
    p = [r.randrange(20) / 20 for _ in range(800)]
    y = [r.random() < each for each in p]
    weaker = [r.random() for _ in p]
    contacts = [f"c{n % 300}" for n in range(800)]
    found = measure(p, y, contacts, 9, against=weaker)
    assert found.auc.value == pytest.approx(roc_auc_score(y, p))
    assert found.auc.low < found.auc.value < found.auc.high < found.auc.low + 0.12
    assert found.over is not None
    assert found.over.value == pytest.approx(found.auc.value - float(roc_auc_score(y, weaker)))
    assert found.over.low > 0.1
    assert sum(each.examples for each in found.calibration) == 800
    assert found.ece == pytest.approx(sum(b.examples * abs(b.predicted - b.observed) for b in found.calibration) / 800)
    assert found == measure(p, y, contacts, 9, against=weaker)
    # Two stand at 0.9, one of them has it; three have it of ten: of the best tenth, one half of a share of 0.3.
    few = measure([0.9, 0.9, *[0.1] * 8], [True, False, True, True, *[False] * 6], [str(n) for n in range(10)], 1)
    assert few.lift == pytest.approx({"10%": 0.5 / 0.3, "20%": 0.5 / 0.3})
