"""Journeys as they go: what the routes need of the rest, and what travels."""

from __future__ import annotations

from typing import Protocol

import msgspec


class JourneyState(msgspec.Struct, frozen=True):
    """A journey of an active ruleset, over all of its revisions: ``goal`` is how many have reached theirs."""

    journey: str
    revision: str
    entered: int
    under_way: int
    goal: int


class StepFunnel(msgspec.Struct, frozen=True):
    """What happened at a step. ``here``: how many stand there now; ``left``: how many ended there, by outcome.

    Of its messages: ``messages`` are those it wanted sent, ``sent`` those that a channel took, ``held`` those that the
    send gate kept back for a while, ``waiting`` those it keeps back now; ``suppressed`` and ``failed`` go by reason.
    """

    step: str
    here: int
    came: int
    passed: int
    restarted: int
    left: dict[str, int]
    messages: int
    sent: int
    held: int
    waiting: int
    suppressed: dict[str, int]
    failed: dict[str, int]


class Group(msgspec.Struct, frozen=True):
    """Those treated, or those held out; ``rate`` is goal by entered, null where nobody entered."""

    entered: int
    goal: int
    rate: float | None


class Difference(msgspec.Struct, frozen=True):
    """The rate of those treated less that of those held out, and between what it lies with this ``confidence``."""

    estimate: float
    low: float
    high: float
    confidence: float


class Comparison(msgspec.Struct, frozen=True):
    """What the messages were good for; ``difference`` is null where a group is too small to say."""

    treated: Group
    held_out: Group
    difference: Difference | None


class VariantFunnel(msgspec.Struct, frozen=True):
    """Those who went one way of a split: ``entered`` it, ``passed`` which steps since, and how they ended."""

    split: str
    way: str
    entered: int
    goal: int
    ended: dict[str, int]
    passed: dict[str, int]


class WayCount(msgspec.Struct, frozen=True):
    """Of the contacts that went a way and whose time is over: how many, and how many of them reached the goal."""

    way: str
    counted: int
    reached: int
    rate: float | None


class ContestState(msgspec.Struct, frozen=True):
    """A split that looks for a winner. ``leader`` is better than every other way with this ``certainty``, however often
    somebody looks; null where nobody leads. ``winner``: the way that all go who come now; null until there is one.
    """

    split: str
    within: str
    asked: float  # the certainty at which there is a winner
    ways: list[WayCount]
    leader: str | None
    certainty: float
    winner: str | None


class RevisionFunnel(msgspec.Struct, frozen=True):
    """What one revision decided. ``moved_in`` and ``moved_out``: whom a deploy brought to it, or to another one."""

    revision: str
    active: bool
    entered: int
    moved_in: int
    moved_out: int
    under_way: int
    goal: int
    ended: dict[str, int]
    steps: list[StepFunnel]
    variants: list[VariantFunnel]
    comparison: Comparison


class Funnel(msgspec.Struct, frozen=True):
    """A journey over all of its revisions, the active one first. ``ended`` goes by outcome, ``goal`` among them.
    ``contests`` are those of the active revision.
    """

    journey: str
    entered: int
    under_way: int
    goal: int
    ended: dict[str, int]
    comparison: Comparison
    revisions: list[RevisionFunnel]
    contests: list[ContestState]


class Journeys(Protocol):
    async def list(self) -> list[JourneyState]: ...

    async def funnel(self, name: str) -> Funnel:
        """``ruleset/journey``, or the name alone. Raises Refused 404 ``journey.unknown``, 400 ``journey.ambiguous``."""
        ...
