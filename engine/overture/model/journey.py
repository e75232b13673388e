"""Where a contact stands in journeys, and which messages the send gate keeps back for it."""

from __future__ import annotations

from typing import Any

import msgspec

from overture.model.message import Message


class Position(msgspec.Struct, array_like=True):
    """One journey under way for one contact. Times are milliseconds since the epoch, UTC.

    ``id`` follows from the fact that began it. ``step`` is the id of the step it stands at; ``due`` the instant at
    which that step goes on by itself, 0: not by time alone. ``planned`` is when the step at hand should have begun:
    what comes later than its ``late`` allows is left out. ``fact`` are the properties of the fact that began it (or
    began it anew), as far as the journey reads them. ``matched`` says whether the last wait ended by its ``until``.
    """

    journey: str  # "ruleset/journey"
    revision: str
    id: str
    key: str = ""  # one position for each value of the journey's `key`; empty where it has none
    entered_at: int = 0
    step: str = ""
    since: int = 0  # when it came to the step
    due: int = 0
    planned: int = 0
    matched: bool = False
    variants: dict[str, str] = {}  # split -> the way this contact went
    fact: dict[str, Any] = {}
    value: str | int | None = None  # the key as the fact had it
    holdout: bool = False  # its messages are left out, to compare with


class Exposure(msgspec.Struct, frozen=True, array_like=True):
    """That the contact went a ``way`` of a split that looks for the best one. It counts at ``due`` with ``reached``:
    whether it came to the goal of the journey until then. Once it has, it is ``counted``.
    """

    way: str
    due: int
    reached: bool = False
    counted: bool = False


class Waiting(msgspec.Struct, array_like=True):
    """A message that the send gate keeps back until ``due`` (0: until somebody agrees); after ``expires`` (0: never) it
    is not sent any more.
    """

    message: Message
    due: int
    reason: str
    expires: int = 0
    priority: int = 0
    approved: bool = False  # somebody has agreed, where somebody has to
    timed: bool = False  # it has waited, or does, for the best hour


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """A message that counts towards a frequency cap: when the gate let it pass, and for what."""

    at: int
    purpose: str
    channel: str
    rule: str
