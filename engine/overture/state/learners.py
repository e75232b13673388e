"""What has been learned for each model, and how far: one value for both, so that no example counts twice or never."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from overture.model.learned import Learned
from overture.state import keys
from overture.state.lease import Command
from overture.state.wire import Wire


class Learner(msgspec.Struct, array_like=True):
    """``places``: the last example learned from, by partition. ``at`` (ms): when that was."""

    places: dict[int, str] = {}
    learned: Learned = msgspec.field(default_factory=Learned)
    at: int = 0


_decode = msgspec.msgpack.Decoder(Learner).decode


async def load(wire: Wire) -> dict[str, Learner]:
    """By model (``ruleset/model#edition``). Raises StoreUnavailable."""
    flat = await wire.call("HGETALL", keys.LEARNERS)
    return {flat[i].decode(): _decode(flat[i + 1]) for i in range(0, len(flat), 2)}


def save(learners: Mapping[str, Learner]) -> list[Command]:
    """For a commit of partition 0, whose owner learns."""
    return [("HSET", keys.LEARNERS, model, msgspec.msgpack.encode(each)) for model, each in learners.items()]


def drop(models: list[str]) -> list[Command]:
    return [("HDEL", keys.LEARNERS, *models)] if models else []
