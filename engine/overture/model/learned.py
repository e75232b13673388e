"""What an online model knows between two examples, as plain data: whoever takes it up goes on where it was left."""

from __future__ import annotations

import msgspec

from overture.model.artefact import Platt


class Row(msgspec.Struct, frozen=True, array_like=True):
    """An example as it was predicted before it was learned from: ``raw`` is a logarithm of odds, not calibrated."""

    raw: float
    probability: float
    met: bool


class Learned(msgspec.Struct, array_like=True):
    """``squares`` of gradients, by column (AdaGrad); ``counts``, ``means`` and ``variances`` of numbers; ``seen``: how
    often each text was there, by its digest.
    """

    examples: int = 0
    yes: int = 0
    weights: dict[str, float] = {}
    squares: dict[str, float] = {}
    counts: dict[str, int] = {}
    means: dict[str, float] = {}
    variances: dict[str, float] = {}
    seen: dict[str, int] = {}
    recent: list[Row] = []
    calibration: Platt = Platt()
