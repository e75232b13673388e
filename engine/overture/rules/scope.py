"""What the expressions of a document may name."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from overture.model.pure import NO_PLUGINS, Pure
from overture.rules.tree import Node
from overture.rules.types import DATETIME, INT, NUMBER, STRING, Type

FACT_FIELDS = {"type": STRING, "id": STRING, "occurred_at": DATETIME, "context": Type("object")}  # every fact has them
CONTACT_FIELDS = frozenset({"id", "scores", "segments", "lists"})  # no trait can have these names

_TEXT = Type("string", optional=True)
_VALUE = Type("any", optional=True)
_MESSAGE = {
    **dict.fromkeys(("message", "channel", "template"), STRING),
    **dict.fromkeys(("reason", "detail", "address", "provider_id"), _TEXT),
    "attempts": NUMBER,
}
_REPORT = {  # of a message that may be another's than ours
    "channel": STRING,
    **dict.fromkeys(("message", "template", "reason", "detail", "address", "provider_id"), _TEXT),
    "attempts": Type("number", optional=True),
}
_FLAG = Type("bool", optional=True)

BUILT_IN: dict[str, dict[str, Type]] = {
    "identify": {},  # its fields are the traits
    "consent": {"channel": STRING, "purpose": STRING, "state": STRING},
    "list_changed": {"list": STRING, "state": STRING},
    "score.changed": {"name": STRING, "key": _TEXT, "before": NUMBER, "after": NUMBER},
    "trait.changed": {"name": STRING, "before": _VALUE, "after": _VALUE},
    "segment.entered": {"name": STRING},
    "segment.left": {"name": STRING},
    "message.sent": _MESSAGE,
    "message.dropped": _MESSAGE,
    "message.failed": {**_MESSAGE, "permanent": _FLAG},
    "message.delivered": _REPORT,
    "message.deferred": {**_REPORT, "status": _TEXT},
    "message.bounced": {**_REPORT, "status": _TEXT, "permanent": _FLAG},
    "message.rejected": {**_REPORT, "permanent": _FLAG},
    "message.complained": _REPORT,
    "message.unsubscribed": {**_REPORT, "purpose": _TEXT},
    "message.opened": {"channel": STRING, "message": _TEXT, "machine": _FLAG},
    "message.clicked": {"channel": STRING, "message": _TEXT, "url": _TEXT, "machine": _FLAG},
    "choice.made": {"choice": STRING, "variant": STRING, "message": _TEXT},
    "session.ended": {
        "session": STRING, "started_at": DATETIME, "duration": NUMBER, "pages": INT, "dwell": Type("object"),
        "longest": _TEXT,
    },
}  # fmt: skip
"""Fact types that are always known, with their fields."""

KEYED, PLAIN, EITHER = "keyed", "plain", "either"


@dataclass(frozen=True, slots=True)
class Inside:
    """What the expressions of one journey know of it: the ``types`` of fact that can begin it or begin it anew, whether
    it is ``open`` to others beside them, and the type of its key; None: it has none.
    """

    types: frozenset[str]
    open: bool
    key: Type | None


@dataclass(slots=True)
class Scope:
    """Everything declared or required. ``scores`` maps to `KEYED`, `PLAIN`, or `EITHER` for a required one.

    ``half_lives`` (ms) has the declared scores that decay; of a required one it is not known before linking.
    """

    facts: dict[str, dict[str, Type]] = field(default_factory=lambda: {k: dict(v) for k, v in BUILT_IN.items()})
    traits: dict[str, Type] = field(default_factory=dict[str, Type])
    consts: dict[str, Node] = field(default_factory=dict[str, Node])
    scores: dict[str, str] = field(default_factory=dict[str, str])
    half_lives: dict[str, int] = field(default_factory=dict[str, int])
    segments: set[str] = field(default_factory=set[str])
    lists: set[str] = field(default_factory=set[str])
    journey: Inside | None = None  # whose expressions are read; None: those of no journey
    pure: Pure = NO_PLUGINS  # what plugins add
    owner: str = ""  # the ruleset's name

    def within(self, journey: Inside) -> Scope:
        """The same, in a journey."""
        return replace(self, journey=journey)

    @property
    def roots(self) -> tuple[str, ...]:
        """Where fields begin."""
        return ("fact", "contact") if self.journey is None else ("fact", "contact", "journey", "wait")

    def field_of(self, fact_type: str, name: str) -> Type | None:
        """The type of ``fact.<name>`` on facts of that type, None where it has no such field."""
        if name in FACT_FIELDS:
            return FACT_FIELDS[name]
        if fact_type == "identify" and name in self.traits:
            return Type(self.traits[name].kind, optional=True)
        return self.facts.get(fact_type, {}).get(name)

    def names_of(self, fact_type: str) -> set[str]:
        own = self.traits if fact_type == "identify" else self.facts.get(fact_type, {})
        return {*own, *FACT_FIELDS}
