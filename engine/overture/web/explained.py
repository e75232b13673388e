"""What an explanation looks like over HTTP. Times are RFC 3339 text."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from overture.match.change import Change
from overture.match.explain import Verdict
from overture.match.units import said
from overture.rules.spelling import spell
from overture.web.shapes import EffectView, FactView

Outcome = Literal[
    "fired", "held_back", "repeated", "rolled_back", "no_match", "wrong_type", "not_active", "set_aside", "no_fact",
    "in", "out", "held", "not_held", "under_way", "ended", "entered", "not_entered", "moved", "shown", "not_shown",
]  # fmt: skip


class ExplainQuery(msgspec.Struct, forbid_unknown_fields=True):
    rule: Annotated[str, Meta(description="The rule: `name`, or `ruleset/name`.")] = ""
    ruleset: Annotated[str, Meta(description="Its ruleset, where several have a rule of that name.")] = ""
    segment: Annotated[str, Meta(description="Instead of a rule: a segment.")] = ""
    journey: Annotated[str, Meta(description="Instead of a rule: a journey, `name` or `ruleset/name`.")] = ""
    choice: Annotated[str, Meta(description="Instead of a rule: a choice, `name` or `ruleset/name`.")] = ""
    fact: Annotated[str, Meta(description="The id of a fact of the contact; without it, the newest that counts.")] = ""


class SamplesQuery(msgspec.Struct, forbid_unknown_fields=True):
    outcome: Annotated[
        Literal["fired", "held_back", "near_miss"],
        Meta(description="near_miss: one part of several did not hold."),
    ] = "fired"
    limit: Annotated[int, Meta(ge=1, le=100, description="How many at most.")] = 20


class SampleView(msgspec.Struct, frozen=True):
    """One decision of a rule, to be asked about with `explain`; ``failed`` is the part by which a near miss missed."""

    contact: str
    fact: str
    at: str
    failed: str


class Samples(msgspec.Struct, frozen=True):
    """Some of the last decisions of a rule, newest first."""

    items: list[SampleView]


class OperandView(msgspec.Struct, frozen=True):
    """Something a test read and its value; ``missing`` where there was none. ``said`` is the value for a person."""

    text: str
    value: Any
    missing: bool
    said: str


class NodeView(msgspec.Struct, frozen=True):
    """One part of a condition. ``decided``: the verdict of the whole rests on this part; ``first_failing``: this is
    where it failed."""

    kind: Literal["and", "or", "not", "test"]
    text: str
    line: int
    column: int
    holds: bool
    decided: bool
    first_failing: bool
    operands: list[OperandView]
    terms: list[NodeView]

    @classmethod
    def of(cls, verdict: Verdict, failing: Verdict | None) -> NodeView:
        """``failing``: the part of it that failed first, as `overture.match.explain.first_failing` tells it."""
        return cls(
            verdict.kind,
            verdict.text,
            verdict.place.line,
            verdict.place.column,
            verdict.holds,
            verdict.decided,
            verdict is failing,
            [OperandView(o.text, o.value, o.value is None, said(o.value, o.unit)) for o in verdict.operands],
            [cls.of(term, failing) for term in verdict.terms],
        )


class EditView(msgspec.Struct, frozen=True):
    """``operand`` would have to be ``needs`` (words; ``value`` is one that does) instead of ``was``; null is missing.

    With ``name``, ``operand`` is a set of names, and ``value`` says whether the name is in it.
    """

    operand: str
    was: Any
    needs: str
    value: Any
    name: str


class ChangeView(msgspec.Struct, frozen=True):
    """The smallest change that would have made the condition hold: all of ``edits`` together."""

    sentence: str
    edits: list[EditView]

    @classmethod
    def of(cls, change: Change) -> ChangeView:
        edits = [EditView(spell(e.operand), e.before, e.needs, e.after, e.name) for e in change.edits]
        return cls(change.sentence, edits)


class OnceView(msgspec.Struct, frozen=True):
    """What ``once_per`` remembered when the fact came: ``last`` is the instant of the firing that counts, if any:
    where the rule fires once in a span, the one that is nearest to the fact.
    """

    per: Literal["contact", "window", "key"]
    last: str | None
    key: Any = None


class PositionView(msgspec.Struct, frozen=True):
    """Where the contact stands in a journey. ``due``: when it goes on by time alone, ``due_local`` on the contact's
    clock; ``until``: what it waits for, with the values at the last fact that counts.
    """

    key: str
    step: str
    entered_at: str
    since: str
    due: str | None
    due_local: str | None
    revision: str
    holdout: bool
    sentence: str
    until: NodeView | None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a rule fired or did not, why a contact is in a segment or is not, where it stands in a journey and why,
    why it was shown a variant of a choice. ``sentence`` says it in one.

    ``state``: ``then`` is exactly what the rule saw, ``now`` the contact at present (``note`` says why).
    ``decided_for`` differs from ``contact`` where the fact was decided for a contact that was merged into it.
    ``revision`` decided, ``active_revision`` decides now; null where the ruleset was or is not active.
    """

    contact: str
    decided_for: str
    rule: str
    segment: str
    outcome: Outcome
    sentence: str
    state: Literal["then", "now"]
    note: str = ""
    fact: FactView | None = None
    seq: int | None = None
    revision: str | None = None
    active_revision: str | None = None
    condition: NodeView | None = None
    change: ChangeView | None = None
    once_per: OnceView | None = None
    since: str | None = None
    effects: list[EffectView] = []
    messages: list[dict[str, Any]] = []
    error: str = ""
    journey: str = ""
    choice: str = ""
    positions: list[PositionView] = []
