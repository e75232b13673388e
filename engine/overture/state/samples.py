"""The last decisions of each rule: when it fired, was held back, or missed by one part. A sample, bounded per rule.

One of each kind is kept per commit, the newest, and `KEPT` per partition: enough to know where to look. What exactly
happened there is in the record (`overture.records`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Literal

import msgspec

from overture.model import Firing, Step
from overture.state import keys
from overture.state.lease import Command
from overture.state.wire import Wire

KEPT = 20  # of each kind, per rule and partition

Kind = Literal["fired", "held_back", "near_miss"]


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One decision: ``at`` in ms is the contact's clock then; ``failed`` the part by which a near miss missed."""

    contact: str
    fact: str
    at: int
    failed: str = ""


encode = msgspec.msgpack.Encoder().encode
_sample = msgspec.msgpack.Decoder(Sample).decode

Near = tuple[str, Sample]  # rule id and how it missed


def write(p: int, steps: Iterable[Step], near: Iterable[Near]) -> list[Command]:
    """The commands that keep a sample of what rules did in one commit."""
    last: dict[tuple[str, Kind], tuple[Step, Firing]] = {}
    for step in steps:
        for trace in step.moments:
            for firing in trace.firings:
                last[firing.rule, "held_back" if firing.held_back else "fired"] = step, firing
    newest = {key: Sample(step.contact.id, firing.fact, step.contact.clock) for key, (step, firing) in last.items()}
    for rule, sample in near:
        newest[rule, "near_miss"] = sample
    commands: list[Command] = []
    for (rule, kind), sample in newest.items():
        key = keys.samples(p, rule, kind)
        commands += (("LPUSH", key, encode(sample)), ("LTRIM", key, 0, KEPT - 1))
    return commands


class RuleSamples:
    """Reading samples, from any process."""

    def __init__(self, wire: Wire, partitions: int) -> None:
        self._wire = wire
        self._partitions = partitions

    async def newest(self, rule: str, kind: Kind, limit: int) -> list[Sample]:
        """Of all partitions, newest first; ``rule`` is ``ruleset/rule``."""
        lists = (keys.samples(p, rule, kind) for p in range(self._partitions))
        pages = await asyncio.gather(*(self._wire.call("LRANGE", key, 0, limit - 1) for key in lists))
        found = [_sample(blob) for page in pages for blob in page]
        found.sort(key=lambda sample: -sample.at)
        return found[:limit]
