"""What a model may learn from: what was known of a contact when it was scored, and whether the outcome came then."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import msgspec

from overture.model.artefact import TEXT, Feature


class Example(msgspec.Struct, frozen=True, array_like=True):
    """It counts at ``due``, with ``met``: whether the outcome came after ``at`` and before then. Once it has, it is
    ``counted`` and stays without ``features`` for as long as it has to be known when the last one was noted.

    ``probability`` is what was said at ``at``, and ``version`` the artefact that said it; empty where nothing was
    learned by then, and the probability is 0.
    """

    at: int
    due: int
    features: dict[str, float | bool | str | None] = {}
    probability: float = 0.0
    version: str = ""
    met: bool = False
    counted: bool = False


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    """A counted example, as it is handed to who learns from it. It names nobody."""

    due: int
    features: dict[str, float | bool | str | None]
    met: bool
    probability: float = 0.0
    version: str = ""


def featured(values: Mapping[str, Any]) -> dict[str, Feature]:
    """What expressions answer, as features: a text is cut, and what is no number, boolean or text is missing."""
    return {name: _feature(value) for name, value in values.items()}


def _feature(value: Any) -> Feature:
    match value:
        case str():
            return value[:TEXT]
        case bool():
            return value
        case int() | float() if isfinite(value):
            return float(value)
        case _:
            return None
