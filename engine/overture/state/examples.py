"""Examples of which it is known what came: put by the commits into a stream for each model and partition, once each.

They name nobody, and whoever has learned from them takes them away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from overture.model import Step
from overture.model.example import Outcome
from overture.state import keys
from overture.state.lease import Command
from overture.state.wire import Wire

KEPT = 10_000  # of a model and partition, about: where nobody learns, the oldest go
PAGE = 500

_decode = msgspec.msgpack.Decoder(Outcome).decode


class Counted(NamedTuple):
    """One example and its place: the partition, and its number there."""

    p: int
    number: str
    outcome: Outcome


def counted(p: int, steps: Iterable[Step]) -> list[Command]:
    """The commands of a commit."""
    return [
        ("XADD", keys.examples(p, model), "MAXLEN", "~", KEPT, "*", "e", msgspec.msgpack.encode(outcome))
        for step in steps
        for model, outcome in step.outcomes
    ]


async def after(wire: Wire, model: str, places: Mapping[int, str], partitions: int) -> list[Counted]:
    """The next examples of a model behind ``places`` (by partition; none: from the first), by when they counted."""

    async def read(p: int) -> list[Counted]:
        start = f"({places[p]}" if p in places else "-"
        rows = await wire.call("XRANGE", keys.examples(p, model), start, "+", "COUNT", PAGE)
        return [Counted(p, number.decode(), _decode(fields[1])) for number, fields in rows]

    found = await asyncio.gather(*(read(p) for p in range(partitions)))
    return sorted((each for some in found for each in some), key=lambda each: each.outcome.due)


async def forget(wire: Wire, model: str, places: Mapping[int, str]) -> None:
    """Take away what lies up to these places."""
    for p, place in places.items():
        await wire.call("XTRIM", keys.examples(p, model), "MINID", _next(place))


async def drop(wire: Wire, model: str, partitions: int) -> None:
    """Take away all."""
    await asyncio.gather(*(wire.call("DEL", keys.examples(p, model)) for p in range(partitions)))


def _next(number: str) -> str:
    ms, _, n = number.partition("-")
    return f"{ms}-{int(n) + 1}"
