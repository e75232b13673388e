"""What a source plugin hands to Overture: facts that others post in their own form, or that it fetches itself.

A fact is always a mapping as ``POST /v1/facts`` takes it (docs/facts.md); the host checks each like any app's. Whoever
sends must give facts ids that are the same when they come again: then a retry is a duplicate and nothing happens twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

from pydantic import BaseModel

C = TypeVar("C", bound=BaseModel)
FactBody = Mapping[str, Any]
"""``{"id", "type", "contact", "occurred_at", "properties", "context"}``.

From an endpoint that itself checks who calls (``proof="source"``) it may tell what became of a message: one of the
types ``message.delivered``, ``.deferred``, ``.bounced``, ``.rejected``, ``.complained``, ``.unsubscribed``,
``.opened``, ``.clicked``, with ``channel`` and ``address`` among its properties. ``contact`` may then have
``message``, the id of one of ours (`Outgoing.id`): the fact is about the contact that it went to, and the message's own
record fills in ``message``, ``template``, ``channel`` and ``address``. The other identifiers are for where there is
no such message.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A request that was made to a source. ``body`` is raw: signatures are over it; ``inflated`` is without gzip.

    ``endpoint`` is the path as the source declared it, ``parts`` what stands for the names in it, ``path`` what was
    asked for; ``source`` is the source's own name in the settings. Header names are lower case. ``query`` has the last
    value of each name, percent-decoded. ``at`` is when it came (ms since the epoch, UTC), ``peer`` the address it came
    from.
    """

    method: str
    endpoint: str
    parts: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    inflated: bytes
    at: int
    peer: str
    path: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the caller is told. A ``body`` that is not bytes is sent as JSON."""

    status: int = 200
    body: Any = field(default_factory=dict[str, Any])
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class NoFact(NamedTuple):
    """What came along with facts and is none: what it is, and why, as a dotted code and a sentence."""

    what: Any
    code: str
    message: str


class Once(NamedTuple):
    """Part of a caller's proof that is good for one request alone, where the proof is not over the rest of it.

    ``word`` comes with no other request, ``said`` is what came with it, or a digest of that; for ``seconds`` the word
    counts as proof of nothing else. None of the two is kept as it is.
    """

    word: str
    said: str
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """The facts in a request, and what the caller is told once they are on disk; nothing else is ever said before.

    ``key``: the write key that the request carries in a place of its own; empty where it stands in a header as usual.
    ``backfill``: recorded history; it changes states and sends nothing. ``refused`` is recorded beside the facts that
    the host refuses. ``once``: where the same word came with something else before, to whatever process and source of
    the plugin, the request is refused, 401 ``source.signature``, and its facts are recorded.
    """

    facts: Sequence[FactBody]
    answer: Answer = field(default_factory=Answer)
    key: str = ""
    backfill: bool = False
    refused: Sequence[NoFact] = ()
    once: Once | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """A request of which a script of the active rulesets is to make the facts: ``script``, as ``ruleset/script``.

    The host runs it. Where it makes no facts, the request is recorded with the reason, and the caller is told that.
    ``request`` is what the script is given, plain JSON; ``seed`` is the same when the request comes again: the ids of
    facts that the script gives none follow from it.
    """

    script: str
    request: Mapping[str, Any]
    seed: str
    answer: Answer = field(default_factory=Answer)


class Refuse(Exception):
    """Raised by a push source: the request is wrong, and would be when it comes again. ``status``: 400 to 499."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


class PushSource(Protocol):
    """An open source that others call. Called concurrently, from one event loop; may be cancelled at any await."""

    async def parse(self, request: Incoming) -> Posted | Transform | Answer:
        """Read one request: its facts, who makes them, or an answer to what is no fact (a settings request, a
        handshake).

        Raises `Refuse`. Anything else is answered with 503, so that the caller tries again, and counts against the
        source's circuit breaker. Whoever says who they are by a signature is checked here, before anything else.
        """
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A path that a source answers. One that begins with ``~`` is below the source's own, ``/in/<name>``.

    ``proof``: ``key``, the caller has a write key, in a header or as `Posted.key`; ``source``, the source itself checks
    who calls. ``browser``: pages of any origin may call it. ``most`` bytes of a body, also inflated.
    """

    method: Literal["GET", "POST"]
    path: str
    proof: Literal["key", "source"] = "key"
    browser: bool = False
    most: int = 16 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class PushSourcePlugin(Generic[C]):
    """A source that others call.

    ``config`` is the pydantic model of its settings, ``open`` makes the source from them, without I/O. Where no setting
    is required it is there without being asked for; otherwise once ``[sources.<name>]`` has them. Under other names,
    with ``plugin = "<name>"``, it may be there several times, each with paths of its own below ``/in/``.
    """

    name: str
    config: type[C]
    open: Callable[[C], PushSource]
    endpoints: Sequence[Endpoint]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of the facts of one emit: all of them are on disk or refused. ``refused``: (index, code, message)."""

    accepted: int
    duplicates: int
    refused: Sequence[tuple[int, str, str]] = ()


class Emit(Protocol):
    """Hands facts to Overture. Returning means: they are on disk, and so is the place that was reached."""

    @property
    def place(self) -> str:
        """The ``place`` of the last emit, also of one before a restart; empty at first."""
        ...

    async def __call__(
        self,
        facts: Sequence[FactBody],
        place: str = "",
        *,
        backfill: bool = False,
        refused: Sequence[NoFact] = (),
    ) -> Taken:
        """``place``: where to go on after a restart; empty for the one there is. Up to 1,000 facts at once.
        ``refused``: what was fetched and is no fact; it is recorded beside the facts that the host refuses.

        A fact that is refused is recorded with its reason, and is not a reason to stop. Waits where the server has
        enough to do; raises only what ends the run: a cancellation, a store that is gone.
        """
        ...


class PullSource(Protocol):
    """An open source that fetches facts. In all processes together, one of it runs."""

    async def run(self, emit: Emit) -> None:
        """Fetch and emit until cancelled; acknowledge to the peer what `emit` has returned for, never before.

        Returning means that there is nothing more, ever. Raising means that it is run again, after a pause that grows.
        """
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PullSourcePlugin(Generic[C]):
    """A source that fetches facts; it runs once for each ``[sources.<name>]`` that has its ``name``, or names it
    as ``plugin``.
    """

    name: str
    config: type[C]
    open: Callable[[C], PullSource]


SourcePlugin = PushSourcePlugin[Any] | PullSourcePlugin[Any]
