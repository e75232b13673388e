"""What a training answers."""

from __future__ import annotations

import msgspec

from overture.model.artefact import Linear, Trees
from overture.training.measure import Measured


class Part(msgspec.Struct, frozen=True):
    """Examples of one part, how many of 1 have the outcome, of how many contacts, and when the first and last were
    scored (ms)."""

    examples: int
    rate: float
    contacts: int
    since: int
    until: int


class Against(msgspec.Struct, frozen=True):
    """The plain rule, on the same later examples; its probabilities are the rates that its values had before."""

    rule: str
    measured: Measured


class Report(msgspec.Struct, frozen=True):
    """``split``: the instant; ``within``: the time in which the outcome counts, both in ms. ``seen``: examples in the
    record, of which not more than there is room for were drawn. ``failed``: facts that could not be decided.
    """

    model: str
    kind: str
    digest: str
    edition: str
    split: int
    within: int
    seed: int
    seen: int
    failed: int
    fitted: Part
    held: Part
    tested: Part
    measured: Measured
    against: Against | None = None


class Trained(msgspec.Struct, frozen=True):
    """``model`` by its full name, ``ruleset/name``."""

    artefact: Linear | Trees
    report: Report
