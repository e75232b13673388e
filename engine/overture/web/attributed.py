"""A question about attribution as it travels over HTTP, and what the route needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from overture.attribution.answer import Attribution, Underway
from overture.attribution.models import ModelName
from overture.attribution.question import Question

_Expression = Annotated[str, Meta(max_length=4096)]
_Short = Annotated[str, Meta(max_length=64)]


class AttributionQuery(msgspec.Struct, forbid_unknown_fields=True):
    conversion: Annotated[str, Meta(max_length=4096, description="A type of fact, or a condition over `fact`.")]
    value: Annotated[_Expression, Meta(description="What one is worth: an expression, such as fact.total.")] = ""
    touches: Annotated[_Expression, Meta(description="A condition over `fact`, in place of visits and messages.")] = ""
    by: Annotated[_Expression, Meta(description="channel, source, campaign, ruleset, template, or an expression.")] = (
        "channel"
    )
    model: ModelName = "all"
    since: Annotated[_Short, Meta(description="An instant, or a duration back from the end.")] = ""
    until: Annotated[_Short, Meta(description="An instant, or a duration back from the last fact.")] = ""
    window: Annotated[_Short, Meta(description="How long before a conversion touches count.")] = "30d"
    half_life: Annotated[_Short, Meta(description="Of the model decay.")] = "7d"
    position: Annotated[_Short, Meta(description="Percent of the first, the middle and the last touches.")] = "40/20/40"
    order: Annotated[int, Meta(description="Of the Markov chain.")] = 1
    repeats: Annotated[
        Literal["one", "each"], Meta(description="Whether touches alike, one right after the other, count as one.")
    ] = "one"

    def question(self) -> Question:
        return msgspec.convert(self, Question, from_attributes=True)


class Attributions(Protocol):
    async def ask(self, question: Question, gone: Callable[[], bool]) -> Attribution | Underway:
        """The answer; how far it is, where that takes long. ``gone``: whether nobody waits any more. Raises Refused,
        Overloaded, StoreUnavailable."""
        ...
