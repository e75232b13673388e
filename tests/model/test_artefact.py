"""What was learned, as data: what is predicted by it, and what is refused."""

from __future__ import annotations

from math import exp

import pytest

from overture.model import Refused
from overture.model.artefact import Artefact, Isotonic, Linear, Platt, Tree, Trees, digest, pack, predict, unpack

LINEAR = Linear(
    "e1",
    -1.0,
    {"baskets": 0.5, "country=DE": 0.25, "age?": -2.0},
    means={"baskets": 2.0},
    scales={"baskets": 4.0},
    calibration=Platt(2.0, 0.1),
)
STUMP = Tree([0, -1, -1], [2.5, 0.0, 0.0], [1, 0, 0], [2, 0, 0], [True, True, True], [0.1, -0.3, 0.7])
TREES = Trees("e1", -1.0, ["baskets", "country=DE"], [STUMP, STUMP])


def odds(x: float) -> float:
    return 1 / (1 + exp(-x))


def test_a_linear_model_adds_what_each_feature_says() -> None:
    found = predict(LINEAR, {"baskets": 6, "country": "DE", "age": None, "unheard": "of"})
    assert found.contributions == {"baskets": 1.0, "country": 0.5, "age": -4.0}
    assert found.probability == pytest.approx(odds(0.1 - 2.0 + 1.0 + 0.5 - 4.0))
    assert predict(LINEAR, {"baskets": 2, "country": "FR", "age": 7}).contributions == {}


def test_a_table_calibrates_by_straight_lines() -> None:
    table = Isotonic([-2.0, 0.0, 2.0], [0.1, 0.2, 0.8])
    artefact = Linear("e1", 0.0, {"x": 1.0}, calibration=table)
    assert [predict(artefact, {"x": x}).probability for x in (-9, -1, 1, 9)] == pytest.approx([0.1, 0.15, 0.5, 0.8])


def test_trees_give_each_split_to_its_feature_and_know_where_what_is_missing_goes() -> None:
    many, none = predict(TREES, {"baskets": 3}), predict(TREES, {"baskets": None})
    assert many.contributions == {"baskets": pytest.approx(1.2)}
    assert many.probability == pytest.approx(odds(-1 + 1.4))
    assert none.probability == pytest.approx(odds(-1 - 0.6))


@pytest.mark.parametrize("artefact", [LINEAR, TREES])
def test_an_artefact_is_its_bytes(artefact: Artefact) -> None:
    assert unpack(pack(artefact)) == artefact
    assert digest(unpack(pack(artefact))) == digest(artefact)
    assert len(digest(artefact)) == 16
    assert digest(Linear("e", 1, {"a": 2}, about={"at": 3})) == digest(
        unpack(pack(Linear("e", 1.0, {"a": 2.0}, about={"at": 3.0})))
    )


@pytest.mark.parametrize(
    ("blob", "why"),
    [
        (b'{"kind":"linear","edition":"e","intercept":1e300,"weights":{}}', "not usable"),
        (b'{"kind":"linear","edition":"e","intercept":0,"weights":{"a":1},"scales":{"a":0}}', "not usable"),
        (b'{"kind":"linear","edition":"e","intercept":0,"weights":{},"code":"import os"}', "unknown field"),
        (b'{"kind":"pickle","edition":"e"}', "Invalid value"),
        (pack(Linear("e", 0.0, {}, calibration=Isotonic([0.0, 0.0], [0.1, 0.2]))), "does not rise"),
        (pack(Trees("e", 0.0, ["a"], [Tree([0], [0.0], [0], [0], [True], [0.0])])), "not behind its parent"),
        (pack(Trees("e", 0.0, [], [Tree([0, -1, -1], [0.0], [1], [2], [True], [0.0])])), "differ in length"),
        (b"[" * 100_000, "artefact"),
    ],
)
def test_what_could_not_be_predicted_by_is_refused(blob: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why) as caught:
        unpack(blob)
    assert caught.value.code == "artefact.wrong"
