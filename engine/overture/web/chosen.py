"""Choices as they stand: what the routes need of the rest, and what travels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from overture.model import Contact


class Range(msgspec.Struct, frozen=True):
    """An estimate, and between what it lies with 95 %."""

    value: float
    low: float
    high: float


class ArmState(msgspec.Struct, frozen=True):
    """One variant. ``shown``: its impressions; ``counted`` those whose time is over, and ``reached`` the successes
    among them, of which ``rate`` is the share (Wilson's interval). ``share``: how often it is drawn now, where all
    variants may be. ``value``: the rate if all had been shown it, by inverse propensities. Null where nothing was
    counted.
    """

    variant: str
    shown: int
    counted: int
    reached: int
    rate: Range | None
    share: float
    value: Range | None


class ChoiceState(msgspec.Struct, frozen=True):
    """A choice of an active ruleset, as far as successes mean what they mean now. ``version``: of what was learned and
    decides, null where nothing is; ``examples``: how many outcomes it was learned from.

    ``regret``: how much better each impression had been, had all been shown the variant that did best; ``lost``: how
    many successes that makes of those counted. Null where nothing was counted.
    """

    choice: str
    revision: str
    within: str
    explore: float
    version: str | None
    examples: int
    best: str | None
    regret: Range | None
    lost: float | None
    arms: list[ArmState]


class Choices(Protocol):
    async def list(self) -> Sequence[ChoiceState]:
        """Those of the active rulesets, by id."""
        ...

    async def kept(self, contact: Contact | None, names: Sequence[str]) -> dict[str, Any]:
        """What a contact was shown before, by name: as an answer to a fact that was decided already."""
        ...
