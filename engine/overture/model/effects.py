"""What one step answers: the new state, what is to be done, and the trace that explains it."""

from __future__ import annotations

from typing import Any

import msgspec

from overture.model.contact import Contact
from overture.model.example import Outcome
from overture.model.fact import Fact
from overture.model.message import Delivery, Message


class Effect(msgspec.Struct, frozen=True, array_like=True):
    """One change or intention.

    ``kind``: ``score`` ``set`` ``unset`` ``segment`` ``list`` ``assert`` ``issue`` ``send`` ``consent`` ``link``
    ``approval`` (somebody, ``after``, agreed to a message)
    ``while`` (a rule's condition became true, or stopped) …; ``name`` is the score, trait, segment, list, fact type,
    code kind, template or rule; ``key`` the key of a keyed score, the derived fact's id, the code, the message id or
    the purpose of a consent; of what is left out, the property or identifier; of a segment that no fact has moved,
    ``deploy`` or ``rolled_back``.

    Of a ``scorer`` (``key``: the score that it sets) ``before`` is its version, ``after`` has ``value`` and
    ``contributions``. What a model says is told as a scorer's: ``before`` is then the version of what was learned, or
    ``prior``. A ``function`` of a plugin is told of only where it failed: ``key`` is the place that asked, as
    ``growth#/rules/hot/when``. Of both that fail, ``reason`` is the error's code and ``after`` its sentence.

    ``reason`` says why the effect was suppressed: then nothing has changed, and there is no ``before`` and ``after``.
    Or it is ``corrected``, with both: a late fact has undone it.

    Of an ``outcome`` (``name``: the split that looks for a winner, ``key``: the way) ``before`` is the edition of the
    journey, ``after`` is ``reached`` or ``missed``.

    Of a ``journey`` (``name``: its id, ``key``: that of the position) ``before`` and ``after`` are steps, ``after``
    also ``end:`` with the outcome, and ``reason`` says what moved it. A verdict of the send gate (``gate``) has what
    stood in the way in ``before``, and the channel that the message takes or until when it waits in ``after``.
    """

    kind: str
    name: str
    key: str = ""
    before: Any = None
    after: Any = None
    reason: str = ""


class Firing(msgspec.Struct, frozen=True, array_like=True):
    """A rule (or a segment's on_enter / on_leave) whose condition held: on which fact, and what it did.

    One that ``once_per`` held back has a single effect of that kind, with the reason.
    """

    rule: str  # "ruleset/rule", "ruleset/segment.on_enter"
    revision: str
    fact: str  # id of the fact it matched: the posted one or one derived from it
    effects: list[Effect] = []

    @property
    def held_back(self) -> str:
        """Why ``once_per`` held it back; empty where it did not."""
        only = self.effects[0] if len(self.effects) == 1 else None
        return only.reason if only is not None and only.kind == "once_per" else ""


class Trace(msgspec.Struct, array_like=True):
    """Why the contact's state is what it is after one fact; kept in the contact's timeline."""

    seq: int
    fact: Fact
    program: int
    at: int  # when decided
    firings: list[Firing] = []
    effects: list[Effect] = []  # what no rule did: the fact itself, a deploy, what a late fact has undone
    error: str = ""  # "code: message" where the step was rolled back

    @property
    def tells(self) -> bool:
        """Whether anything came of it."""
        return bool(self.firings or self.effects or self.error)

    @property
    def all_effects(self) -> list[Effect]:
        """Those that no rule did, then those of the rules."""
        return [*self.effects, *(effect for firing in self.firings for effect in firing.effects)]


class Step(msgspec.Struct):
    """The whole outcome of deciding one fact for one contact. All of it is committed together, or none.

    Not ``kept``: the fact came to nothing (a ``$tick`` when nothing was due), and there is nothing to commit.
    """

    contact: Contact
    trace: Trace  # of the fact itself
    ticks: list[Trace] = []  # of what had become due before it, oldest first, as far as there is something to tell
    messages: list[Message] = []
    records: list[Delivery] = []  # what to show of messages that need approval and have not passed; state "": nothing
    forwards: list[Fact] = []  # facts for another contact's log (an anonymous contact became known)
    scores: dict[str, float | None] = {}  # ranking (``lead``, ``interest:seo``) → new place (`decay.place`), None: gone
    segments: set[str] = set()  # names whose membership entry must be rewritten
    wakes: bool = False  # whether `Contact.wake` is another now
    kept: bool = True
    made: bool = False  # whether this is the contact's first fact
    outcomes: list[tuple[str, Outcome]] = []  # examples of which it is known now what came, by "ruleset/model#edition"
    erases: bool = False  # nothing of the contact is left: what is committed instead, `overture.state.purge` knows

    @property
    def traces(self) -> list[Trace]:
        """All that was decided, oldest first."""
        return [*self.ticks, self.trace]

    @property
    def moments(self) -> list[Trace]:
        """What the contact's timeline gets, oldest first. That time has passed is nothing to tell by itself, nor is a
        deploy that changed nothing.
        """
        silent = ("$tick", "$program")
        return self.ticks if self.trace.fact.type in silent and not self.trace.tells else self.traces
