"""What Overture knows about one contact: the hot state that each step reads and writes."""

from __future__ import annotations

from copy import copy as shallow
from typing import Any

import msgspec

from overture.model.chosen import Impression, Presence
from overture.model.example import Example
from overture.model.journey import Exposure, Position, Sent, Waiting
from overture.model.series import Candidate, Held, Series
from overture.model.session import Session

SETTLE = 300_000
"""Recorded history is left so long (ms) after its last fact was accepted: more of it may come, in its order."""

Number = int | float
Score = Number | dict[str, Number]


class Issued(msgspec.Struct, frozen=True, array_like=True):
    """A unique code given to the contact, such as a voucher; ``code`` follows from the fact id."""

    kind: str
    code: str
    fact: str
    at: int
    properties: dict[str, Any] = {}


class Contact(msgspec.Struct, array_like=True):
    """The state of one contact, stored as one msgpack value. Times are milliseconds since the epoch, UTC.

    New fields go to the end and carry a default: stored states must stay readable.
    """

    id: str
    seq: int = 0  # facts decided so far, by contacts merged into it too; numbers the timeline
    program: int = 0  # `Program.base` of what last decided for this contact; below 0: it has to catch up all the same
    created_at: int = 0
    updated_at: int = 0
    ids: dict[str, Any] = {}  # user_id: text; anonymous_id, email: list of text; external: name -> text
    traits: dict[str, Any] = {}
    scores: dict[str, Score] = {}  # a number, or key -> number where the score is declared `per`
    segments: dict[str, int] = {}  # name -> when entered
    lists: dict[str, int] = {}  # static lists: name -> when added
    consent: dict[str, dict[str, str]] = {}  # channel -> purpose -> granted | pending | denied
    suppressed: dict[str, str] = {}  # "channel:address" -> reason (bounce, complaint)
    fired: dict[str, int | list[int] | dict[str, int]] = {}  # memory of `once_per`: rule -> when, or key -> when
    issued: list[Issued] = []
    merged_into: str = ""  # set on an anonymous contact that became known: later facts are forwarded there
    clock: int = 0  # the instant up to which this contact has been decided; never goes back; `now()` in conditions
    due: int = 0  # the next instant at which time alone may change something; 0: none
    stamps: dict[str, int | dict[str, int]] = {}  # decaying scores: name -> instant of the stored value, or key -> it
    history: dict[str, Series] = {}  # id of the series -> what it keeps
    joins: dict[str, list[list[Candidate]]] = {}  # id of the join -> for each part its candidates, by occurred_at
    held: dict[str, list[Held]] = {}  # id of a `while` rule that holds -> what to take back
    weight: int = 0  # about how many bytes of this senders decide; 0: not weighed yet
    backfilled: int = 0  # known from recorded history only, up to here: what became due until then sends nothing
    sessions: list[Session] = []  # the visit under way and the last ones, by when they began
    partial: dict[str, list[str]] = {}  # series begun by a deploy -> contacts whose earlier facts are not yet in it
    journeys: list[Position] = []  # under way, by when they were entered
    ended: dict[str, dict[str, int]] = {}  # journey -> key of the position -> when it ended last
    waiting: list[Waiting] = []  # messages that the send gate keeps back
    sent: list[Sent] = []  # what counts towards frequency caps, oldest first
    habits: dict[str, int] = {}  # channel -> how often a message there was opened or clicked
    exposures: dict[str, Exposure] = {}  # "ruleset/journey.split#edition" -> its way, where a winner is looked for
    choices: list[Impression] = []  # what it was shown, oldest first
    presence: Presence = Presence()  # when it is there
    examples: dict[str, list[Example]] = {}  # "ruleset/model#edition" -> when it was scored, and what was known then

    @property
    def wake(self) -> int:
        """When to look at the contact again with no fact: when something is due, and history has settled. 0: never."""
        return self.backfilled + SETTLE if 0 < self.due <= self.backfilled else self.due

    def copy(self) -> Contact:
        """A working copy that shares no mutable part with this state (values inside traits are never mutated)."""
        other = shallow(self)
        other.ids = self.ids.copy()
        other.traits = self.traits.copy()
        other.scores = {k: v.copy() if type(v) is dict else v for k, v in self.scores.items()}
        other.segments = self.segments.copy()
        other.lists = self.lists.copy()
        other.consent = {k: v.copy() for k, v in self.consent.items()} if self.consent else {}
        other.suppressed = self.suppressed.copy()
        other.fired = {k: v.copy() if type(v) is dict else v for k, v in self.fired.items()} if self.fired else {}
        other.issued = self.issued.copy()
        other.stamps = {k: v.copy() if type(v) is dict else v for k, v in self.stamps.items()} if self.stamps else {}
        other.history = self.history.copy()
        other.joins = self.joins.copy()
        other.held = self.held.copy()
        other.sessions = self.sessions.copy()
        other.partial = self.partial.copy()
        other.journeys = [shallow(position) for position in self.journeys] if self.journeys else []
        other.ended = {k: v.copy() for k, v in self.ended.items()} if self.ended else {}
        other.waiting = self.waiting.copy()
        other.sent = self.sent.copy()
        other.habits = self.habits.copy()
        other.exposures = self.exposures.copy()
        other.choices = self.choices.copy()
        other.examples = self.examples.copy()
        return other
