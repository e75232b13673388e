"""From what was found to an explanation: what became of a rule at a fact, and where a contact stands. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import msgspec

from overture.decide.gatekeeping import waits
from overture.decide.room import firings
from overture.decide.work import key_text
from overture.match import compile_value
from overture.match.change import Change, smallest_change
from overture.match.explain import Verdict, explain, first_failing
from overture.model import Contact, Effect, Fact, Firing, Trace
from overture.model.chosen import chosen_text
from overture.model.clock import to_text
from overture.model.reasons import sentence
from overture.node.scored import scores_told
from overture.node.together import explain_join
from overture.rules.program import Program
from overture.rules.ruleset import Rule, Segment, While
from overture.rules.tree import Node
from overture.web.explained import ChangeView, Explanation, NodeView, OnceView, Outcome
from overture.web.shapes import EffectView, FactView


@dataclass(frozen=True, slots=True)
class Scene:
    """A fact, posted or derived, as it was decided: ``contact`` is what the rules saw, ``after`` what came of it.

    With a ``note`` both are the contact at present, because what it was then is not known any more.
    """

    fact: Fact
    contact: Contact
    after: Contact
    trace: Trace
    program: Program
    decided_for: str
    note: str = ""


@dataclass(slots=True)
class Account:
    """What is known of one condition, for an `Explanation`."""

    verdict: Verdict | None = None
    parts: dict[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, when: Node, fact: Fact, contact: Contact) -> Account:
        change = smallest_change(when, fact, contact)
        return cls.telling(explain(when, fact, contact), change)

    @classmethod
    def of_rule(cls, rule: Rule, fact: Fact, contact: Contact) -> Account:
        if rule.join is None:
            return cls.of(rule.when, fact, contact)
        # What would complete a join is another fact; that of this fact nothing fits is told by its own condition.
        change = smallest_change(rule.when, fact, contact)
        return cls.telling(explain_join(rule, rule.join, fact, contact), change)

    @classmethod
    def telling(cls, verdict: Verdict, change: Change | None) -> Account:
        return cls(
            verdict,
            {
                "condition": NodeView.of(verdict, first_failing(verdict)),
                "change": None if change is None else ChangeView.of(change),
            },
        )

    @property
    def failure(self) -> str:
        """Why it did not hold, and what would do."""
        failing = None if self.verdict is None else first_failing(self.verdict)
        change: ChangeView | None = self.parts.get("change")
        said = [f"{failing.text} did not hold."] if failing is not None else []
        return " ".join([*said, change.sentence] if change is not None else said)


def of_rule(asked: str, id: str, rule: Rule, scene: Scene, active: Program) -> Explanation:
    """What became of a rule at a fact. ``rule``: as it stood then, or as it stands now if it was not there then."""
    account = Account.of_rule(rule, scene.fact, scene.contact)
    firing = next((f for f in scene.trace.firings if f.rule == id and f.fact == scene.fact.id), None)
    effects = firing.effects if firing is not None else []
    outcome, sentence = _became_of(id, rule, scene, account, firing)
    once = None if scene.note else _once(rule, scene)
    if outcome == "held_back" and once is not None and once.last is not None:
        sentence += f" What counts happened at {once.last}."
    return Explanation(
        contact=asked,
        decided_for=scene.decided_for,
        rule=id,
        segment="",
        outcome=outcome,
        sentence=sentence,
        state="now" if scene.note else "then",
        note=scene.note,
        fact=FactView.of(scene.fact),
        seq=scene.trace.seq,
        revision=_revision(scene.program, id),
        active_revision=_revision(active, id),
        once_per=once,
        effects=[EffectView.of(e) for e in effects],
        error=scene.trace.error,
        **account.parts,
    )


def _became_of(id: str, rule: Rule, scene: Scene, account: Account, firing: Firing | None) -> tuple[Outcome, str]:
    """The outcome, in a word and in a sentence; ``firing`` is None where the rule is not among those that fired."""
    fact, trace = scene.fact, scene.trace
    assert account.verdict is not None
    ruleset = id.partition("/")[0]
    if all(r.id != id for r in scene.program.rules):
        then = scene.program.rulesets.get(ruleset)
        if then is None:
            return "not_active", f"The ruleset {ruleset} was not active when this fact was decided."
        return "not_active", f"Revision {then.revision} of {ruleset}, which decided this fact, had no such rule."
    if firing is not None:
        if firing.held_back:
            return "held_back", f"The condition held, but once_per held the rule back ({firing.held_back})."
        scored = scores_told(firing.effects, scene.program.models, ruleset)
        return "fired", f"It fired. {_did(firing.effects)}{_scripts(firing.effects)}{_chose(firing.effects)}{scored}"
    if fact.type not in rule.types:
        listens = ", ".join(sorted(rule.types))
        return "wrong_type", f"The fact is of type {fact.type}, and the rule is about {listens}."
    asked = f"{ruleset}#/rules/{rule.name}/when"
    failed = next((e for e in trace.effects if e.kind == "function" and e.key.startswith(asked)), None)
    if failed is not None:
        return "no_match", f"It did not fire, as it could not be told whether it should: {failed.after}"
    if scene.note or not account.verdict.holds:
        return "no_match", f"It did not fire. {'' if scene.note else account.failure}".rstrip()
    bounded = next((e.reason for e in trace.effects if e.kind == "step" or (e.kind == "join" and e.name == id)), "")
    if bounded:
        return "held_back", f"The condition held, but the step had done as much as it may ({bounded})."
    if trace.error:
        return "rolled_back", f"The condition held, but all that rules did at this fact was rolled back: {trace.error}"
    return "repeated", "The condition held, but the rule had fired at an equal derived fact in the same step."


def _did(effects: list[Effect]) -> str:
    suppressed = [e for e in effects if e.reason]
    if not effects:
        return "It changed nothing: everything was so already."
    done = f"It did {_count(len(effects) - len(suppressed))}"
    if not suppressed:
        return f"{done}."
    reasons = ", ".join(dict.fromkeys(e.reason for e in suppressed))
    return f"{done}; {_count(len(suppressed))} did not happen ({reasons})."


def _scripts(effects: list[Effect]) -> str:
    """What scripts did not answer, and why."""
    return "".join(f" {e.after}" for e in effects if e.kind == "script" and e.reason and e.after)


def _chose(effects: list[Effect]) -> str:
    """What it showed by choices."""
    told: list[str] = []
    for effect in effects:
        if effect.kind == "choice" and not effect.reason:
            kept = ", and the contact keeps it" if effect.after["kept"] else ""
            told.append(f" {chosen_text(effect.key, effect.after['propensity'], effect.before or '')}{kept}.")
    return "".join(told)


def _count(n: int) -> str:
    return "one thing" if n == 1 else f"{n} things"


def _once(rule: Rule, scene: Scene) -> OnceView | None:
    if rule.once is None:
        return None
    if rule.once.key is None:
        at, fired = scene.fact.occurred_at, firings(scene.contact, rule.id)
        last = min(fired, key=lambda each: abs(at - each), default=None)
        return OnceView("window" if rule.once.window_ms else "contact", None if last is None else to_text(last))
    key = compile_value(rule.once.key)(scene.fact, scene.contact)
    memory = scene.contact.fired.get(rule.id)
    last = memory.get(key_text(key)) if isinstance(memory, dict) and key is not None else None
    return OnceView("key", None if last is None else to_text(last), key)


@dataclass(frozen=True, slots=True)
class Lasting:
    """What holds for a contact as long as a condition over it does: being in a segment, the effects of a ``while``."""

    id: str  # of the rule, or the segment's name
    is_rule: bool
    ruleset: str
    revision: str
    when: Node | None

    @classmethod
    def of(cls, item: Segment | While) -> Lasting:
        is_rule = isinstance(item, While)
        return cls(item.id if is_rule else item.name, is_rule, item.ruleset, item.revision, item.when)

    def is_so(self, state: Contact) -> bool:
        return self.id in (state.held if self.is_rule else state.segments)

    def since(self, state: Contact) -> int | None:
        """When it began; None where it does not hold, or where nothing was there to be done."""
        if not self.is_rule:
            return state.segments.get(self.id)
        held = state.held.get(self.id)
        return held[0].at if held else None

    def moves(self, trace: Trace) -> list[Effect]:
        """What one moment had to do with it: that it began or ended, and what that set off."""
        own = [e for f in trace.firings if f.rule in self._firings for e in f.effects]
        if self.is_rule:
            return own
        others = [e for f in trace.firings if f.rule not in self._firings for e in f.effects]
        return [e for e in (*trace.effects, *others) if (e.kind, e.name) == ("segment", self.id)] + own

    @property
    def _firings(self) -> tuple[str, ...]:
        edges = (f"{self.ruleset}/{self.id}.on_enter", f"{self.ruleset}/{self.id}.on_leave")
        return (self.id,) if self.is_rule else edges


def of_lasting(
    asked: Contact, what: Lasting, scene: Scene | None, moved: Trace | None, active_revision: str | None
) -> Explanation:
    """Where the contact stands: after what ``scene`` shows, or at present. ``moved``: the moment that told of it."""
    state = asked if scene is None else scene.after
    is_so, since = what.is_so(state), what.since(state)
    account = Account() if what.when is None else Account.of(what.when, Fact("", "", asked.id, 0, 0), state)
    trace = scene.trace if scene is not None else moved
    outcomes: tuple[Outcome, Outcome] = ("held", "not_held") if what.is_rule else ("in", "out")
    return Explanation(
        contact=asked.id,
        decided_for=asked.id if scene is None else scene.decided_for,
        rule=what.id if what.is_rule else "",
        segment="" if what.is_rule else what.id,
        outcome=outcomes[not is_so],
        sentence=_standing(what, is_so, account),
        state="now" if scene is None or scene.note else "then",
        note="" if scene is None else scene.note,
        fact=None if trace is None else FactView.of(trace.fact),
        seq=None if trace is None else trace.seq,
        revision=what.revision,
        active_revision=active_revision,
        since=None if since is None else to_text(since),
        effects=[] if trace is None else [EffectView.of(e) for e in what.moves(trace)],
        error="" if trace is None else trace.error,
        **account.parts,
    )


def _standing(what: Lasting, is_so: bool, account: Account) -> str:
    if account.verdict is None:
        return f"{what.id} has no condition: actions enter and leave it."
    if account.verdict.holds == is_so:
        return "The condition holds." if is_so else account.failure
    so = "its effects hold" if what.is_rule else "the contact is in it"
    so_not = "its effects do not hold" if what.is_rule else "the contact is not in it"
    held = f"holds, but {so_not}" if account.verdict.holds else f"does not hold, but {so}"
    return f"The condition {held} yet: the next fact brings it up to date."


def sent_at(segment: str, timeline: list[Trace]) -> list[str]:
    """The messages that entering or leaving the segment set off the last time; ``timeline``: newest first."""
    edges = (f"/{segment}.on_enter", f"/{segment}.on_leave")
    for trace in timeline:
        sends = [e for f in trace.firings if f.rule.endswith(edges) for e in f.effects if e.kind == "send"]
        if sends:
            return [effect.key for effect in sends if not effect.reason]
    return []


def verdicts(ids: Collection[str], timeline: list[Trace]) -> list[dict[str, Any]]:
    """What the send gate said last about messages that it did not let go; ``timeline``: newest first."""
    effects = (e for trace in timeline for e in trace.effects if e.kind == "gate" and e.key in ids)
    found: dict[str, Effect] = {}
    for effect in effects:
        found.setdefault(effect.key, effect)
    return [
        {
            "id": e.key,
            "template": e.name,
            "channel": "",
            "state": "waiting" if waits(e) else "left_out",
            "reason": f"{e.reason}: {said}",
        }
        for e in found.values()
        if (said := sentence(e.reason, before=e.before, after=e.after))
    ]


def with_messages(explanation: Explanation, messages: list[dict[str, Any]]) -> Explanation:
    return msgspec.structs.replace(explanation, messages=messages)


def _revision(program: Program, id: str) -> str | None:
    ruleset = program.rulesets.get(id.partition("/")[0])
    return None if ruleset is None else ruleset.revision
