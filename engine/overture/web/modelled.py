"""Models as they stand: what the routes need of the rest, and what travels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class CalibrationBin(msgspec.Struct, frozen=True):
    """Of ``examples`` that were predicted alike: how probable on average, and which part of them came."""

    predicted: float
    observed: float
    examples: int


class Measures(msgspec.Struct, frozen=True):
    """How good predictions were over the last ``examples`` (up to 2,000), each made before its outcome was known: of an
    online model by what it had learned until then, of another by what it said when the contact was scored.
    ``base_log_loss``: of saying the base rate every time. ``auc`` is null where all examples have the same outcome.
    """

    examples: int
    base_rate: float
    log_loss: float
    base_log_loss: float
    auc: float | None
    calibration: list[CalibrationBin]


class ModelState(msgspec.Struct, frozen=True):
    """A model of an active ruleset, as it asks now. ``version``: of the artefact that decides, null where none does;
    ``trained_on``: how many examples. ``examples``: those that have counted and were taken in, ``yes`` those of them
    with the outcome. ``waits``: why nothing newer decides, in a sentence; empty where nothing is in the way.
    """

    model: str
    kind: str
    edition: str
    within: str
    features: list[str]
    version: str | None
    trained_on: int
    pinned: bool
    examples: int
    yes: int
    measured: Measures | None
    waits: str


class Pin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``version``: that decided once, and decides from now on; without it, the present one stays. Not ``pinned``: what
    is learned decides again.
    """

    pinned: bool
    version: str | None = None


class Deciding(msgspec.Struct, frozen=True):
    """``version`` of the artefact (null: none), and of the active set that it came with."""

    model: str
    version: str | None
    active: int


class Models(Protocol):
    async def list(self) -> Sequence[ModelState]:
        """Those of the active rulesets, by id."""
        ...

    async def put(self, model: str, artefact: bytes) -> Deciding:
        """Let an artefact decide for a model (``ruleset/model``), and pin it.

        Raises Refused ``model.unknown``, ``artefact.wrong``, ``artefact.edition``, ``ruleset.changed``.
        """
        ...

    async def pin(self, model: str, pin: Pin) -> Deciding:
        """Raises Refused ``model.unknown``, ``artefact.unknown``, ``artefact.edition``, ``ruleset.changed``."""
        ...
