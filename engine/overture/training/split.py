"""The parts of a record that is split by time (where, says `run.prepare`): what a model is fitted to, calibrated on and
tested on, each later than the one before.

An example belongs to a part only if what came of it was known before the next part begins, so no part has a share in
the answers of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from overture.model import Refused
from overture.model.clock import to_text
from overture.training.examples import Example

HELD = 0.2  # of what lies before the split, the latest part
LEAST = {"fitting": 30, "calibration": 10, "test": 10}
"""Examples with the outcome that each part needs at least, and without."""


class Parts(NamedTuple):
    fitted: list[Example]
    held: list[Example]
    tested: list[Example]


def parts(before: Sequence[Example], tested: Sequence[Example], within_ms: int, split: int) -> Parts:
    """``before``: what was known by the split, in order. Raises Refused ``train.split``, ``train.too_few``."""
    if not before or not tested:
        which = "before" if not before else "after"
        raise Refused(
            "train.split",
            f"There is no example {which} {to_text(split)} of which it is known what came of it.",
            "Move the split, or have a rule score the contacts by the model.",
        )
    edge = before[int(len(before) * (1 - HELD))].at
    found = Parts(
        [each for each in before if each.at + within_ms <= edge],
        [each for each in before if each.at >= edge],
        list(tested),
    )
    for (name, least), each in zip(LEAST.items(), found, strict=True):
        met = sum(example.met for example in each)
        if min(met, len(each) - met) < least:
            raise Refused(
                "train.too_few",
                f"Of {len(each)} examples for {name} {met} have the outcome; at least {least} must have it, "
                f"and {least} must not.",
                "Take more facts, another split, or an outcome that is less rare.",
            )
    return found
