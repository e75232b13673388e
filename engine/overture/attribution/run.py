"""One question from its specification to its answer. Reads the store's log and the archive; writes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from overture.attribution.answer import Amount, Attribution, Given, Refusal, Row, Span
from overture.attribution.gather import Found, Gathered
from overture.attribution.models import attribute
from overture.attribution.question import Asked, Question, asked, not_a_period
from overture.backtest.period import Period, period
from overture.model import Refused
from overture.model.clock import to_text
from overture.records import Recorded, Recording
from overture.state.wire import Wire

LOOK_EVERY = 500  # facts between two looks at the time
TOLD_EVERY = 0.25  # seconds


class Spec(msgspec.Struct, frozen=True):
    """All that a question is about. ``store``: the URL to connect to; ``archive``: the directory."""

    store: str
    archive: str
    partitions: int
    question: Question


def answer(spec: Spec, tell: Callable[[int], None]) -> Attribution:
    """Work it out; ``tell`` is told now and then how many facts were read. Raises Refused, StoreUnavailable."""
    asks = asked(spec.question)
    recordings = asyncio.run(_open(spec))
    gathered = Gathered(asks)
    try:
        for recording in recordings:
            gathered.read(_telling(recording.facts(), gathered, tell))
        within = _period(asks, gathered.last)
        found = Found()
        paths = gathered.paths(within, found, each=spec.question.repeats == "each")
        given = attribute(paths, asks.models, asks.tuning)
    finally:
        gathered.close()
    attributed = found.conversions[0]
    rows: dict[str, dict[str, Given]] = {label: {} for label in found.touches}
    refused: dict[str, Refusal] = {}
    for name, credits in given.items():
        if isinstance(credits, Refused):
            refused[name] = Refusal(credits.code, credits.message, credits.hint)
            continue
        for label, models in rows.items():
            conversions, value = credits.get(label, (0.0, 0.0))
            models[name] = Given(conversions, value, conversions / attributed if attributed else 0.0)
    return Attribution(
        question=spec.question,
        period=Span(to_text(within.since), to_text(within.until)),
        facts=gathered.facts,
        missing_entries=sum(recording.missing for recording in recordings),
        conversions=Amount(sum(found.conversions), *found.conversions),
        value=Amount(sum(found.value), *found.value),
        without_value=found.worthless,
        paths=found.conversions[0],
        null_paths=found.nulls,
        left_out=found.left_out,
        rows=[
            Row(label, found.touches[label], models)
            for label, models in sorted(rows.items(), key=lambda row: (-found.touches[row[0]], row[0]))
        ],
        refused=refused,
        not_recorded=sorted(asks.types - gathered.types),
    )


async def _open(spec: Spec) -> list[Recording]:
    wire = await Wire.connect(spec.store)
    try:
        return [await Recording.open(wire, Path(spec.archive), p) for p in range(spec.partitions)]
    finally:
        await wire.close()


def _telling(facts: Iterator[Recorded], gathered: Gathered, tell: Callable[[int], None]) -> Iterator[Recorded]:
    told = time.monotonic()
    for n, recorded in enumerate(facts, 1):
        yield recorded
        if n % LOOK_EVERY == 0 and time.monotonic() - told >= TOLD_EVERY:
            told = time.monotonic()
            tell(gathered.facts)


def _period(asks: Asked, last: int) -> Period:
    """Raises Refused ``attribution.period``."""
    try:
        return period(asks.since, asks.until, last)
    except Refused as error:
        raise not_a_period(error) from None
