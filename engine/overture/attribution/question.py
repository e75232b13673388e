"""What is asked: which facts are conversions and touches, what each is called, and how credit is given."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from overture.attribution.models import MODELS, ModelName, Tuning
from overture.attribution.touches import LABELS, Label, is_touch
from overture.backtest.period import Bound, bound
from overture.match.closures import compile_condition, compile_value
from overture.model import Contact, Fact, Refused
from overture.model.fact import TYPE_NAME
from overture.rules.durations import duration
from overture.rules.reach import fact_types, walk
from overture.rules.report import Report
from overture.rules.syntax import parse_syntax
from overture.rules.tree import Call, History, Node, Place

NONE = "(none)"
ORDERS = 5  # the highest of a Markov chain
LABEL = 200  # characters of a label
_NOBODY = Contact("")
_OF_CONTACT = ("now", "age", "local")


class Question(msgspec.Struct, frozen=True):
    """As it was asked, in the texts of whoever asked. ``conversion``: a condition, or a type of fact; ``value``: an
    expression, empty: conversions only; ``touches``: a condition, empty: `is_touch`; ``by``: one of `LABELS` or an
    expression; ``repeats``: whether touches with one label right after each other count as one.
    """

    conversion: str
    value: str = ""
    touches: str = ""
    by: str = "channel"
    model: ModelName = "all"
    since: str = ""
    until: str = ""
    window: str = "30d"
    half_life: str = "7d"
    position: str = "40/20/40"
    order: int = 1
    repeats: Literal["one", "each"] = "one"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that makes sense: what it asks of each fact. ``types``: of facts, by its conditions."""

    converts: Callable[[Fact], bool]
    worth: Callable[[Fact], float | None] | None
    touches: Callable[[Fact], bool]
    label: Label
    types: frozenset[str]
    since: Bound | None
    until: Bound | None
    window: int
    tuning: Tuning
    models: tuple[str, ...]

    def label_of(self, fact: Fact) -> str:
        """What a touch is called; `NONE` where the fact does not say."""
        return (self.label(fact) or NONE)[:LABEL]


def asked(question: Question) -> Asked:
    """Raises Refused ``attribution.condition``, ``attribution.period``, ``attribution.setting``."""
    text = question.conversion.strip()
    if TYPE_NAME.fullmatch(text):
        text = f'fact.type == "{text}"'
    conversion, types = _condition(text, "conversion")
    touches = is_touch
    if question.touches:
        touch, more = _condition(question.touches, "touches")
        types |= more
        touches = _test(touch)
    if not 1 <= question.order <= ORDERS:
        raise _setting(f"order is {question.order}.", f"A Markov chain has the order 1 to {ORDERS} here.")
    return Asked(
        converts=_test(conversion),
        worth=_number(_expression(question.value, "value")) if question.value else None,
        touches=touches,
        label=LABELS.get(question.by) or _text(_expression(question.by, "by")),
        types=types,
        since=_bound(question.since, "since"),
        until=_bound(question.until, "until"),
        window=_duration(question.window, "window"),
        tuning=Tuning(_duration(question.half_life, "half_life"), _position(question.position), question.order),
        models=tuple(MODELS) if question.model == "all" else (question.model,),
    )


def _condition(text: str, what: str) -> tuple[Node, frozenset[str]]:
    node = _expression(text, what)
    types = fact_types(node)
    if types is None:
        hint = 'Begin with fact.type == "…" and …'
        raise _wrong(what, "the condition does not say on which facts", hint)
    if not types:
        raise _wrong(what, "no fact can meet all parts of the condition", "Did you mean `or`?")
    return node, types


def _expression(text: str, what: str) -> Node:
    report, node = Report(), None
    with report.until_full():
        node = parse_syntax(text, lambda offset: Place(1, offset + 1), {}, report, roots=("fact",))
    if node is None:
        found = report.diagnostics[0]
        message = found.message[0].lower() + found.message[1:]
        hint = found.hint
        if what == "by" and "." not in text:
            hint = f"There are {', '.join(LABELS)}; or an expression, such as fact.utm_content."
        raise _wrong(what, f"{message} (character {found.column})", hint)
    for part in walk(node):
        if isinstance(part, History) or (isinstance(part, Call) and part.name in _OF_CONTACT):
            name = part.kind if isinstance(part, History) else part.name
            hint = "Attribution looks at each fact by itself; choose the time with since, until and window."
            raise _wrong(what, f"{name}() asks about the contact", hint)
    try:
        compile_value(node)
    except Refused as error:
        raise _wrong(what, error.message.rstrip("."), error.hint) from None
    return node


def _wrong(what: str, message: str, hint: str) -> Refused:
    return Refused("attribution.condition", f"{what}: {message}.", hint)


def _test(node: Node) -> Callable[[Fact], bool]:
    test = compile_condition(node)
    return lambda fact: test(fact, _NOBODY)


def _number(node: Node) -> Callable[[Fact], float | None]:
    """The value of a conversion; None where that is no number, or negative."""
    get = compile_value(node)

    def read(fact: Fact) -> float | None:
        x = get(fact, _NOBODY)
        return float(x) if (type(x) is int or type(x) is float) and x >= 0 else None

    return read


def _text(node: Node) -> Label:
    get = compile_value(node)

    def read(fact: Fact) -> str | None:
        x: Any = get(fact, _NOBODY)
        if type(x) is bool:
            return "true" if x else "false"
        return x if type(x) is str else f"{x}" if type(x) is int or type(x) is float else None

    return read


def _bound(text: str, what: str) -> Bound | None:
    try:
        return bound(text, what) if text else None
    except Refused as error:
        raise not_a_period(error) from None


def not_a_period(error: Refused) -> Refused:
    return Refused("attribution.period", error.message, error.hint)


def _duration(text: str, what: str) -> int:
    ms = duration(text)
    if not ms:
        raise _setting(f"{what} is no duration: {text[:60]!r}.", "Write 30d, 12h, or 45m.")
    return ms


def _position(text: str) -> tuple[float, float, float]:
    found = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)/(\d{1,3}(?:\.\d+)?)/(\d{1,3}(?:\.\d+)?)", text)
    parts = [float(part) for part in found.groups()] if found else []
    if not found or abs(sum(parts) - 100) > 1e-9:
        hint = "Write the percent of first, middle and last, such as 40/20/40: 100 together."
        raise _setting(f"position is not three parts of 100: {text[:60]!r}.", hint)
    first, middle, last = parts
    return first / 100, middle / 100, last / 100


def _setting(message: str, hint: str) -> Refused:
    return Refused("attribution.setting", message, hint)
