"""What is answered, as it travels."""

from __future__ import annotations

import msgspec

from overture.attribution.question import Question


class Span(msgspec.Struct, frozen=True):
    """Instants, RFC 3339: ``since`` belongs to it, ``until`` does not."""

    since: str
    until: str


class Amount(msgspec.Struct, frozen=True):
    """Of all conversions, or of their value: what has touches before it and is shared out, and what has none."""

    total: float
    attributed: float
    direct: float


class Given(msgspec.Struct, frozen=True):
    """What a model gives to a label; ``share``: its part of the attributed conversions. Only what the model
    ``shapley_rate`` gives may be negative."""

    conversions: float
    value: float
    share: float


class Row(msgspec.Struct, frozen=True):
    """A label, its touches on all paths, and what each model gives to it."""

    label: str
    touches: int
    models: dict[str, Given]


class Refusal(msgspec.Struct, frozen=True):
    """Why there is nothing of a model."""

    code: str
    message: str
    hint: str


class Attribution(msgspec.Struct, frozen=True):
    """``facts`` were read, ``missing_entries`` of the log are not on record any more. ``without_value``: conversions of
    which the value is no number. ``null_paths`` led to nothing; ``left_out``: touches of contacts with too many.
    ``rows``: those with the most touches first. ``refused``: models that could not take these paths.
    ``not_recorded``: types of fact that the question names and that nobody sent.
    """

    question: Question
    period: Span
    facts: int
    missing_entries: int
    conversions: Amount
    value: Amount
    without_value: int
    paths: int
    null_paths: int
    left_out: int
    rows: list[Row]
    refused: dict[str, Refusal]
    not_recorded: list[str]


class Underway(msgspec.Struct, frozen=True):
    """There is no answer yet: ask the same again. ``facts`` were read so far."""

    facts: int


class Said(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the process that works on a question: how far it is, or what came of it."""

    facts: int = 0
    answer: Attribution | None = None
    failure: Refusal | None = None
