"""How much one body and one fact may hold, and which of Overture's own types it may be."""

from __future__ import annotations

from dataclasses import dataclass

from overture.model.fact import POSTED_TYPES


@dataclass(frozen=True, slots=True)
class Caps:
    """Bytes, counts and milliseconds; a fact at the cap is taken, one beyond it is refused."""

    body: int = 16 * 1024 * 1024  # as received, and again inflated
    facts: int = 10_000
    values: int = 1_000_000  # that a batch may hold where Python itself must step over each of them
    fact: int = 64 * 1024
    depth: int = 32  # the fact itself is level 1
    keys: int = 256  # of all objects in the fact together
    future: int = 24 * 60 * 60 * 1000
    own: frozenset[str] = POSTED_TYPES  # of the reserved types, those that may come
