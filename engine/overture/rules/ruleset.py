"""A checked ruleset: what a document means, ready to be linked with others into a program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from overture.model.pages import Page
from overture.model.pure import Scoring
from overture.rules.form import Form
from overture.rules.learning import Model
from overture.rules.script import Changes, ScriptDecl
from overture.rules.sending import Sending
from overture.rules.tree import NOWHERE, Node, Place

if TYPE_CHECKING:
    from overture.rules.journey import Journey  # its steps act, and actions are declared here

Value = Node  # an action's value: a literal, or an expression written as "= fact.total"


@dataclass(frozen=True, slots=True)
class ScoreDecl:
    """A score: one number, or one per value of the fact's field ``per``; kept within minimum and maximum.

    With ``half_life`` (ms) it loses half of itself in each such span; 0: it stays.
    """

    name: str
    per: str = ""
    minimum: float | None = None
    maximum: float | None = None
    half_life: int = 0


def half_lives_of(scores: Mapping[str, ScoreDecl]) -> dict[str, int]:
    """Of the scores that decay, in ms."""
    return {name: decl.half_life for name, decl in scores.items() if decl.half_life}


@dataclass(frozen=True, slots=True)
class ListDecl:
    """A static list; joining it needs the contact's consent to ``purpose`` on ``channel`` where these are given."""

    name: str
    channel: str = ""
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class TemplateDecl:
    """A message's text as minijinja source; a field that the channel does not use is empty. ``mjml`` makes the HTML of
    a template without ``html``; ``data`` is JSON, or with ``builder`` what that script answers. ``blocks``: those that
    it names, as it is written; once they are in it, ``pins`` has ruleset and revision of those that are of others.
    """

    name: str
    subject: str = ""
    text: str = ""
    html: str = ""
    mjml: str = ""
    data: str = ""
    builder: ScriptDecl | None = None
    blocks: tuple[str, ...] = ()
    pins: tuple[tuple[str, str], ...] = ()

    def page(self) -> Page:
        """As the renderer takes it."""
        return Page(self.name, self.subject, self.text, self.html, self.mjml, self.data)


@dataclass(frozen=True, slots=True)
class BlockDecl:
    """A piece of templates, ``ruleset/name``; ``parts``: its source as ``text``, ``html``, ``mjml``. One that is
    ``locked`` is the same for everybody: others fill its slots at most.
    """

    name: str
    parts: Mapping[str, str]
    locked: bool = False
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Variant:
    """What a choice may show, to whom ``when`` holds for (None: anybody)."""

    name: str
    when: Node | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """One of ``variants`` for each contact, the better ones more often the more is known of them.

    An impression is a success where a fact of one of ``types`` meets ``goal`` in ``within_ms`` after it. ``explore``:
    which part of the impressions goes to all alike, whatever is known. A contact keeps its variant for ``keep_ms``; 0:
    for good. ``edition`` is the same as long as successes mean the same: what was learned is of an edition.
    """

    name: str
    ruleset: str
    revision: str
    variants: tuple[Variant, ...]
    goal: Node
    types: frozenset[str]
    within_ms: int
    explore: float
    keep_ms: int = 0
    edition: str = ""
    place: Place = NOWHERE

    @property
    def id(self) -> str:
        return f"{self.ruleset}/{self.name}"

    @property
    def conditions(self) -> tuple[Node, ...]:
        return (self.goal, *(each.when for each in self.variants if each.when is not None))


# --- actions -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScoreAction:
    """Exactly one of ``add``, ``set`` and ``by``; ``per`` overrides the key that the declaration names."""

    name: str
    add: Value | None = None
    set: Value | None = None
    per: Value | None = None
    by: Scoring | ScriptDecl | Model | None = None


@dataclass(frozen=True, slots=True)
class SetAction:
    traits: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class UnsetAction:
    traits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AssertAction:
    """Derive a fact about the same contact; it goes through the rules in the same step."""

    type: str
    properties: Mapping[str, Value] = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True)
class SegmentAction:
    """Enter or leave a segment that is declared without ``when``."""

    name: str
    enter: bool


@dataclass(frozen=True, slots=True)
class ListAction:
    name: str
    add: bool


@dataclass(frozen=True, slots=True)
class IssueAction:
    """Issue one unique code; templates read it as ``issued.<kind>.code``."""

    kind: str
    properties: Mapping[str, Value] = field(default_factory=dict[str, Value])


@dataclass(frozen=True, slots=True)
class SendAction:
    """``to`` empty: the contact's own address on that channel. ``channel`` empty: the gate chooses one that can carry
    what the message ``needs``. ``late_ms``: how late it may be handed over; None: at any time. Where the gate has no
    slot for it now, it is held for the next one, or with ``expires`` it is not sent at all.

    With ``choice`` the template is the variant that this choice shows the contact; ``variants`` are all that there are.
    With ``best_ms`` it waits, up to so long, for the hour at which the contact is most likely there; where nothing is
    known of that, for the minute ``otherwise`` of its day, or not at all.
    """

    channel: str
    template: str
    purpose: str
    to: str = ""
    needs: frozenset[str] = frozenset()
    priority: int = 0
    late_ms: int | None = None
    expires: bool = False  # `if_held: expire`
    approval: bool = False
    choice: str = ""
    variants: tuple[str, ...] = ()
    best_ms: int = 0
    otherwise: int | None = None

    @property
    def templates(self) -> tuple[str, ...]:
        """Those that it may send."""
        return self.variants or (self.template,)


@dataclass(frozen=True, slots=True)
class StartAction:
    """Begin a journey of the same ruleset, as its re-entry allows."""

    journey: str


@dataclass(frozen=True, slots=True)
class StopAction:
    """End every position of the contact in a journey of the same ruleset."""

    journey: str


@dataclass(frozen=True, slots=True)
class RunAction:
    """Do what a script answers, as far as ``changes`` let it."""

    script: ScriptDecl
    changes: Changes


Action = (
    ScoreAction
    | SetAction
    | UnsetAction
    | AssertAction
    | SegmentAction
    | ListAction
    | IssueAction
    | SendAction
    | StartAction
    | StopAction
    | RunAction
)


@dataclass(frozen=True, slots=True)
class Once:
    """``once_per``: one firing per contact; with ``window_ms`` per window, with ``key`` per value of the key."""

    window_ms: int = 0
    key: Node | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One fact of a join. ``when``: what it must be by itself, asked when the fact comes.

    ``relation``: how it stands to the parts before it, asked when the last of the join's facts comes. Its fields are
    those of ``first`` … ``fourth`` (the part's own too) and of the contact; None where it asks nothing.
    ``reads``: the properties of this part's facts that any relation of the join reads.
    """

    when: Node
    types: frozenset[str]
    relation: Node | None = None
    reads: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Join:
    """One fact for each part, in the order of ``occurred_at``, from the first to the last at most ``within_ms``."""

    parts: tuple[Part, ...]
    within_ms: int


@dataclass(frozen=True, slots=True)
class Rule:
    """``types`` are the fact types on which it can fire at all, never empty.

    With ``join`` the condition ``when`` holds where the fact matches one of the join's parts by itself; the rule fires
    where that completes a join.
    """

    name: str
    ruleset: str
    revision: str
    when: Node
    types: frozenset[str]
    then: tuple[Action, ...]
    priority: int = 0
    once: Once | None = None
    place: Place = NOWHERE
    join: Join | None = None

    @property
    def id(self) -> str:
        return f"{self.ruleset}/{self.name}"


Holdable = ScoreAction | SetAction | ListAction


@dataclass(frozen=True, slots=True)
class While:
    """A rule with ``while``: what it does holds as long as the condition over the contact holds."""

    name: str
    ruleset: str
    revision: str
    when: Node
    then: tuple[Holdable, ...]
    priority: int = 0
    place: Place = NOWHERE

    @property
    def id(self) -> str:
        return f"{self.ruleset}/{self.name}"


@dataclass(frozen=True, slots=True)
class Sessions:
    """Facts of a contact without a pause of ``idle_ms`` are one visit. ``types`` empty: whatever apps send."""

    idle_ms: int
    types: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Segment:
    """With ``when``: membership follows the contact's state. Without: entered and left by actions."""

    name: str
    ruleset: str
    revision: str
    when: Node | None = None
    on_enter: tuple[Action, ...] = ()
    on_leave: tuple[Action, ...] = ()
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Ruleset:
    """One checked document. ``revision`` is its content hash, ``source`` the text as deployed.

    ``places`` says where what other rulesets may contradict is written: ``requires/scores/lead``, ``scores/lead``,
    ``lists/news``, ``traits/plan``, ``facts/order_completed/total``, ``forms/webinar``, ``sessions``, ``sending``.
    """

    name: str
    revision: str
    source: str
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    traits: Mapping[str, Any] = field(default_factory=dict[str, Any])
    scores: Mapping[str, ScoreDecl] = field(default_factory=dict[str, ScoreDecl])
    lists: Mapping[str, ListDecl] = field(default_factory=dict[str, ListDecl])
    segments: Mapping[str, Segment] = field(default_factory=dict[str, Segment])
    rules: tuple[Rule, ...] = ()
    templates: Mapping[str, TemplateDecl] = field(default_factory=dict[str, TemplateDecl])
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    whiles: tuple[While, ...] = ()
    sessions: Sessions | None = None
    places: Mapping[str, Place] = field(default_factory=dict[str, Place])
    applies: bool = False  # ``on_activate: apply``: a deploy sets off what entering and leaving its segments does
    journeys: Mapping[str, Journey] = field(default_factory=dict[str, "Journey"])
    sending: Sending | None = None
    holdout: int = 0  # percent of the contacts that get no message of this ruleset, to compare with
    forms: Mapping[str, Form] = field(default_factory=dict[str, Form])
    scripts: Mapping[str, ScriptDecl] = field(default_factory=dict[str, ScriptDecl])
    choices: Mapping[str, Choice] = field(default_factory=dict[str, Choice])
    models: Mapping[str, Model] = field(default_factory=dict[str, Model])
    blocks: Mapping[str, BlockDecl] = field(default_factory=dict[str, BlockDecl])  # own ones, and others' it rewords

    def place(self, path: str) -> Place:
        return self.places.get(path, NOWHERE)


def values_of(action: Action) -> Iterator[Node]:
    """The values that an action computes."""
    match action:
        case ScoreAction(_, add, set_, per, by):
            yield from (value for value in (add, set_, per) if value is not None)
            if isinstance(by, Model):
                yield from by.features.values()
        case SetAction(values) | AssertAction(_, values) | IssueAction(_, values):
            yield from values.values()
        case _:
            pass
