"""Conditions that want out, or want the machine to themselves: refused with a code, or ordinary."""

from __future__ import annotations

from typing import Any

import pytest

from bench.hostile.conditions import CORPUS, Case, tried


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_each_is_refused_or_ordinary(case: Case) -> None:
    found = {kind: tried(case, kind) for kind in ("durable", "reference")}
    assert {code for code, _ in found.values()} == {case.code}
    told: list[list[Any]] = []
    for _, steps in found.values():
        assert len(steps) == (0 if case.code else 7)
        assert all(step.trace.error == "" for step in steps)
        told.append([step.contact.scores["hits"] for step in steps])
        assert all(hits >= 100 * n for n, hits in enumerate(told[-1], 1)), "the rule beside it goes on"
    assert told[0] == told[1]


def test_there_are_enough() -> None:
    assert len({case.text for case in CORPUS}) == len(CORPUS) >= 60
