"""What a ruleset's ``sending`` says to the send gate, across all rulesets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from overture.rules.tree import NOWHERE, Place


@dataclass(frozen=True, slots=True)
class Quiet:
    """From ``start`` to ``end`` (minutes after local midnight; over midnight where start > end) nothing of these
    purposes (empty: of any but ``transactional``) is sent; what comes is held until the end.
    """

    start: int
    end: int
    purposes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Cap:
    """At most ``max`` messages of these purposes in ``ms``, or in a local day, week, month."""

    max: int
    purposes: frozenset[str]
    ms: int = 0
    calendar: Literal["", "day", "week", "month"] = ""  # "day" | "week" | "month"


@dataclass(frozen=True, slots=True)
class Sending:
    """``channels``: those that the gate may choose from, in order of preference, each with what it can carry."""

    channels: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    quiet: tuple[Quiet, ...] = ()
    caps: tuple[Cap, ...] = ()
    place: Place = NOWHERE
