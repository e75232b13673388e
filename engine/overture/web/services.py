"""What the web layer needs from the rest: small protocols, so that a route holds no business logic."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from overture.model import Contact, Diagnostic, Draft, Trace
from overture.rules.difference import Change
from overture.trial.results import Result
from overture.web.attributed import Attributions
from overture.web.backtested import Backtests
from overture.web.chosen import Choices
from overture.web.clocked import Clock
from overture.web.erased import Privacy
from overture.web.explained import ExplainQuery, Explanation, Samples, SamplesQuery
from overture.web.formed import Forms
from overture.web.funnels import Journeys
from overture.web.inboxed import Inbox
from overture.web.keyed import Browsers, KeyRing
from overture.web.modelled import Models
from overture.web.plugged import Plugins
from overture.web.previewed import Previews
from overture.web.scripted import Scripts
from overture.web.sharing import Sharing
from overture.web.subscribed import Subscriptions
from overture.web.trailed import Trails


class Grant(Protocol):
    """What a key may do; the scope ``*`` stands for all.

    With the scope ``facts:track`` alone it is public: ``types`` of facts that it may post (none: all that a page may),
    ``origins`` of the pages that may use it (none: any). ``rate``: facts a second; 0: as many as there are.
    """

    @property
    def name(self) -> str: ...
    @property
    def scopes(self) -> frozenset[str]: ...
    @property
    def types(self) -> frozenset[str]: ...
    @property
    def origins(self) -> frozenset[str]: ...
    @property
    def rate(self) -> float: ...


class Receipt(msgspec.Struct, frozen=True):
    """What became of one draft. ``decision`` is set where the caller waited and the fact was decided in time."""

    status: Literal["accepted", "duplicate", "conflict", "unredacted"]
    id: str
    contact: str
    decision: dict[str, Any] | None = None


class Page(msgspec.Struct, frozen=True):
    """Part of a long list; ``next`` is the cursor of the part that follows, null at the end."""

    items: list[dict[str, Any]]
    next: str | None = None


class StoredRevision(msgspec.Struct, frozen=True):
    """One revision that can be activated; ``created_at`` is RFC 3339."""

    revision: str
    created_at: str


class RulesetState(msgspec.Struct, frozen=True):
    """A ruleset: its active revision (null for none) and all revisions, newest first."""

    name: str
    active: str | None
    revisions: list[StoredRevision]


class Revision(Protocol):
    """A document as it was kept; ``new`` is false where this revision was kept before."""

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def new(self) -> bool: ...
    @property
    def active(self) -> bool: ...
    @property
    def warnings(self) -> Sequence[Diagnostic]: ...


class Facts(Protocol):
    async def accept(
        self, drafts: Sequence[Draft], *, source: str, backfill: bool, wait: bool, now: int
    ) -> list[Receipt]:
        """Put facts on disk; a receipt for each, in order. Raises StoreUnavailable, Overloaded (nothing was taken)."""
        ...


class Contacts(Protocol):
    async def find(self, id_or_alias: str) -> Contact | None: ...

    async def timeline(self, contact_id: str, before: int | None, limit: int) -> list[Trace]:
        """Newest first; ``before`` is the number (`Trace.seq`) that all of them stay below."""
        ...


class Explanations(Protocol):
    async def explain(self, contact: Contact, query: ExplainQuery) -> Explanation:
        """Why or why not. Raises Refused: ``explain.question``, and 404 for what is not there."""
        ...

    async def samples(self, rule: str, query: SamplesQuery) -> Samples:
        """``rule`` is ``ruleset/rule``. Raises Refused 404 where no active ruleset has it."""
        ...


class Rankings(Protocol):
    async def top(self, score: str, key: str, cursor: str | None, limit: int) -> Page:
        """Highest first. Raises Refused with status 404 where no active ruleset declares the score."""
        ...

    async def members(self, segment: str, cursor: str | None, limit: int) -> Page:
        """Raises Refused with status 404 where no active ruleset declares the segment."""
        ...


class Messages(Protocol):
    async def page(self, state: str | None, cursor: str | None, limit: int) -> Page: ...

    async def retry(self, id: str) -> bool:
        """Make a dead or waiting message due now; False where there is none. Raises Refused 409 where it was sent."""
        ...

    async def approve(self, id: str, key: str) -> bool:
        """Agree to a message that waits for approval; ``key`` is the name of the caller's. False where there is none.

        Raises Refused 409 where it does not wait for that, or does not go all the same; Overloaded 503 where nobody
        has decided it yet.
        """
        ...

    async def reject(self, id: str, key: str) -> bool:
        """Drop such a message, as `approve`."""
        ...


class Rulesets(Protocol):
    """`overture.deploy.Rulesets`, and two ways to look. Raises RulesetInvalid, TrialsFailed, Refused 404, 409, 412.

    ``if_match``: revisions of which one must be active now; ``*`` stands for any. None asks nothing.
    """

    async def check(self, text: str) -> tuple[object | None, list[Diagnostic]]: ...
    async def test(self, name: str, document: str, revision: str | None = None) -> Result: ...
    async def put(self, name: str, text: str) -> Revision: ...
    async def activate(self, name: str, revision: str, if_match: Collection[str] | None = None) -> int: ...

    async def stranded(self, name: str, revision: str) -> dict[str, int]: ...
    async def rollback(self, name: str, if_match: Collection[str] | None = None) -> tuple[str, int]: ...
    async def text(self, name: str, revision: str) -> str: ...
    async def diff(self, name: str, to: str, before: str | None = None) -> list[Change]: ...
    async def list(self) -> list[RulesetState]: ...
    async def get(self, name: str) -> RulesetState | None: ...


class Keys(Protocol):
    def grant(self, token: str) -> Grant | None:
        """What the key may do, None for no key of ours. Called for each request: answers from memory."""
        ...

    def admit(self, grant: Grant) -> None:
        """Raises Overloaded 429 where the key is beyond its rate."""
        ...

    def spend(self, grant: Grant, facts: int) -> None:
        """Count facts against the rate of the key, beside the one that the request counts as.

        Raises Refused 413 ``auth.rate_batch`` for more than it may ever bring at once: so it is asked before any is
        taken.
        """
        ...


class Health(Protocol):
    async def ready(self) -> dict[str, Any]:
        """What ``/readyz`` shows; its key ``ready`` is a bool and decides between 200 and 503."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """All that the routes call."""

    facts: Facts
    contacts: Contacts
    rankings: Rankings
    messages: Messages
    rulesets: Rulesets
    keys: Keys
    health: Health
    explanations: Explanations
    backtests: Backtests
    attribution: Attributions
    subscriptions: Subscriptions
    forms: Forms
    journeys: Journeys
    choices: Choices
    models: Models
    clock: Clock
    plugins: Plugins
    privacy: Privacy
    trails: Trails
    inbox: Inbox
    key_ring: KeyRing
    browsers: Browsers
    scripts: Scripts
    previews: Previews
    sharing: Sharing = field(default_factory=Sharing)
