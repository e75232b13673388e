"""What travels over HTTP: the types behind the answers and behind the OpenAPI document. Times are RFC 3339 text."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from overture.intake import Rejection
from overture.model import Contact, Diagnostic, Effect, Fact, Trace
from overture.model.clock import to_text
from overture.model.reasons import sentence
from overture.rules.difference import Change

Limit = Annotated[int, Meta(ge=1, le=500, description="How many at most.")]
Cursor = Annotated[str, Meta(description="`next` of the page before.")]


# --- what is posted: documentation only, intake reads the bytes itself ------------------------------------------


class Identifiers(msgspec.Struct, forbid_unknown_fields=True):
    """Whom a fact is about: at least one identifier."""

    user_id: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType = UNSET
    anonymous_id: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType = UNSET
    email: Annotated[str, Meta(max_length=254)] | UnsetType = UNSET
    external: (
        Annotated[dict[str, str], Meta(description="Name of another system → the contact's id there.")] | UnsetType
    ) = UNSET


class FactBody(msgspec.Struct, forbid_unknown_fields=True):
    """Something that happened to one contact."""

    type: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$", max_length=128, examples=["page_viewed"])]
    contact: Annotated[str | Identifiers, Meta(description="The user's id, or identifiers.")]
    id: (
        Annotated[
            str, Meta(min_length=1, max_length=200, description="The same id is taken once; without one, always.")
        ]
        | UnsetType
    ) = UNSET
    occurred_at: Annotated[str, Meta(description="RFC 3339 with an offset; now if missing.")] | UnsetType = UNSET
    properties: dict[str, Any] | UnsetType = UNSET
    context: dict[str, Any] | UnsetType = UNSET
    choices: (
        Annotated[list[str], Meta(max_length=20, description="Choices of which a variant for the contact is asked.")]
        | UnsetType
    ) = UNSET


# --- queries ----------------------------------------------------------------------------------------------------


class FactsQuery(msgspec.Struct, forbid_unknown_fields=True):
    wait: Annotated[bool, Meta(description="Answer after the effects are committed, with decisions.")] = False
    backfill: Annotated[bool, Meta(description="Recorded history: state changes, nothing is sent.")] = False


class PageQuery(msgspec.Struct, forbid_unknown_fields=True):
    cursor: Cursor | None = None
    limit: Limit = 50


class TopQuery(msgspec.Struct, forbid_unknown_fields=True):
    key: Annotated[str, Meta(description="Which of a score that is kept per key.")] = ""
    cursor: Cursor | None = None
    limit: Limit = 50


class MessagesQuery(msgspec.Struct, forbid_unknown_fields=True):
    state: Literal["queued", "held", "sending", "retrying", "sent", "dropped", "dead"] | None = None
    cursor: Cursor | None = None
    limit: Limit = 50


class DiffQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    to: Annotated[str, Meta(description="The revision that is compared.")]
    before: Annotated[str, Meta(description="With which; the active one if missing.")] | None = msgspec.field(
        name="from", default=None
    )


class RevisionQuery(msgspec.Struct, forbid_unknown_fields=True):
    revision: (
        Annotated[str, Meta(description="The revision that tests alone are run with; the active one if missing.")]
        | None
    ) = None


# --- answers ----------------------------------------------------------------------------------------------------


class FactsAnswer(msgspec.Struct, frozen=True):
    """What became of a batch. ``ids`` (and ``decisions``, if waited for) follow its order, null for a rejected fact."""

    accepted: int
    duplicates: int
    rejected: list[Rejection]
    ids: list[str | None]
    decisions: list[dict[str, Any] | None] | UnsetType = UNSET


class DecideAnswer(msgspec.Struct, frozen=True):
    """``decision`` is null where it did not come in time, or where the fact is a duplicate: it takes effect once.

    ``choices`` is there if asked for: by name the ``variant`` to show (null, with a ``reason``, where there is none),
    the ``propensity`` with which it was drawn, the ``version`` of what was learned until then (null: nothing), and
    whether it was ``kept`` from before.
    """

    id: str
    status: Literal["accepted", "duplicate"]
    contact: str
    decision: dict[str, Any] | None
    choices: dict[str, Any] | UnsetType = UNSET


class FactView(msgspec.Struct, frozen=True):
    id: str
    type: str
    occurred_at: str
    accepted_at: str
    properties: dict[str, Any]
    context: dict[str, Any]
    source: str
    cause: str

    @classmethod
    def of(cls, fact: Fact) -> FactView:
        at = to_text(fact.occurred_at), to_text(fact.accepted_at)
        return cls(fact.id, fact.type, *at, fact.properties, fact.context, fact.source, fact.cause)


class ContactView(msgspec.Struct, frozen=True):
    """Everything known about a contact; ``recent`` has its last facts, newest first. ``journeys``: where it stands in
    those under way, since when, and when it goes on by itself (``due``; null: not by time alone).
    """

    id: str
    ids: dict[str, Any]
    traits: dict[str, Any]
    scores: dict[str, float | dict[str, float]]
    segments: list[str]
    lists: list[str]
    journeys: list[dict[str, Any]]
    consent: dict[str, dict[str, str]]
    suppressed: dict[str, str]
    issued: list[dict[str, Any]]
    created_at: str
    updated_at: str
    recent: list[FactView]

    @classmethod
    def of(cls, contact: Contact, recent: list[Trace]) -> ContactView:
        return cls(
            id=contact.id,
            ids=contact.ids,
            traits=contact.traits,
            scores=contact.scores,
            segments=sorted(contact.segments),
            lists=sorted(contact.lists),
            journeys=[
                {
                    "journey": position.journey,
                    "key": position.key,
                    "step": position.step,
                    "since": to_text(position.since),
                    "due": to_text(position.due) if position.due else None,
                    "entered_at": to_text(position.entered_at),
                    "revision": position.revision,
                    "variants": position.variants,
                }
                for position in contact.journeys
            ],
            consent=contact.consent,
            suppressed=contact.suppressed,
            issued=[
                {"kind": i.kind, "code": i.code, "fact": i.fact, "at": to_text(i.at), "properties": i.properties}
                for i in contact.issued
            ],
            created_at=to_text(contact.created_at),
            updated_at=to_text(contact.updated_at),
            recent=[FactView.of(trace.fact) for trace in recent],
        )


class EffectView(msgspec.Struct, frozen=True, omit_defaults=True):
    """``sentence`` says what a verdict of the send gate (kind ``gate``) means, where it did not let a message go."""

    kind: str
    name: str
    key: str
    before: Any
    after: Any
    reason: str
    sentence: str = ""

    @classmethod
    def of(cls, e: Effect) -> EffectView:
        said = sentence(e.reason, before=e.before, after=e.after) if e.kind == "gate" and e.reason else ""
        return cls(e.kind, e.name, e.key, e.before, e.after, e.reason, said)


class FiringView(msgspec.Struct, frozen=True):
    rule: str
    revision: str
    fact: str
    effects: list[EffectView]


class Moment(msgspec.Struct, frozen=True):
    """One decided fact: which rules fired, and what changed; ``error`` where the step was rolled back."""

    seq: int
    at: str
    program: int
    fact: FactView
    firings: list[FiringView]
    effects: list[EffectView]
    error: str

    @classmethod
    def of(cls, t: Trace) -> Moment:
        firings = [FiringView(f.rule, f.revision, f.fact, [EffectView.of(e) for e in f.effects]) for f in t.firings]
        effects = [EffectView.of(e) for e in t.effects]
        return cls(t.seq, to_text(t.at), t.program, FactView.of(t.fact), firings, effects, t.error)


class Timeline(msgspec.Struct, frozen=True):
    items: list[Moment]
    next: str | None


class Retried(msgspec.Struct, frozen=True):
    id: str


class RevisionAnswer(msgspec.Struct, frozen=True):
    """A revision as kept; ``active`` says whether it is the one that decides now."""

    name: str
    revision: str
    active: bool
    warnings: list[Diagnostic]


class DiffAnswer(msgspec.Struct, frozen=True):
    """What one revision means that the other does not; ``changes`` is empty where only text or layout differ."""

    name: str
    changes: list[Change]


class CheckAnswer(msgspec.Struct, frozen=True):
    """The document has no error."""

    warnings: list[Diagnostic]


class ActivationAnswer(msgspec.Struct, frozen=True):
    """``version`` numbers the set of active rulesets. ``stranded``: how many contacts stood at steps of journeys that
    migrate and that this revision lacks, by ``journey.step``; their journeys end.
    """

    name: str
    revision: str
    version: int
    stranded: dict[str, int] = {}


class Alive(msgspec.Struct, frozen=True):
    status: Literal["ok"] = "ok"
