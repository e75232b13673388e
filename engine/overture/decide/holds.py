"""Rules with ``while``: what they do when the condition becomes true, and how it is taken back when it stops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from overture.decide.actions import Act, compile_action
from overture.decide.work import Work
from overture.match import compile_followed
from overture.match.values import same
from overture.model import Contact, Effect, Fact, Held
from overture.rules.program import Program
from overture.rules.ruleset import Action, ListAction, SetAction, While


class Holding:
    """One such rule, compiled. ``reads``: the paths whose change can change its condition."""

    def __init__(self, rule: While, program: Program) -> None:
        self.id = rule.id
        self.name = rule.name
        self.revision = rule.revision
        self.reads = program.while_reads[rule.id]
        self._holds = compile_followed(rule.when)
        self._acts: tuple[tuple[Action, Act], ...] = tuple((each, compile_action(each, program)) for each in rule.then)

    def follow(self, work: Work, fact: Fact) -> list[Effect]:
        """Do what the condition now asks for; empty where it is as it was, or cannot be told."""
        held = work.contact.held.get(self.id)
        holds = self._holds(fact, work.contact)
        if holds is None:
            return []
        if holds:
            if held is not None:
                return []
            return [Effect("while", self.name, "", False, True), *self._hold(work, fact)]
        return [] if held is None else [Effect("while", self.name, "", True, False), *release(work, self.id)]

    def _hold(self, work: Work, fact: Fact) -> list[Effect]:
        contact = work.contact
        told: list[Effect] = []
        held: list[Held] = []
        for action, act in self._acts:
            traits = dict(contact.traits)
            effects = act(work, fact, self.id, self.revision)
            told += effects
            held += (_taken(effect, traits, contact, self.revision) for effect in effects if not effect.reason)
            held += _shared(action, effects, contact, self.revision)
        contact.held[self.id] = held
        return told


def catch_up(work: Work, holdings: Mapping[str, Holding]) -> list[Effect]:
    """Take back what rules did that are gone, or that say another thing by now; those that hold do theirs later."""
    effects: list[Effect] = []
    for id, held in list(work.contact.held.items()):
        rule = holdings.get(id)
        if rule is None or any(h.revision != rule.revision for h in held):
            effects += release(work, id)
    return effects


def release(work: Work, id: str) -> list[Effect]:
    """Take back what a rule holds, last things first."""
    effects = [_take_back(work, held) for held in reversed(work.contact.held.pop(id))]
    return [effect for effect in effects if effect is not None]


def _taken(effect: Effect, traits: dict[str, Any], contact: Contact, revision: str) -> Held:
    """What has to be taken back for an effect; ``traits`` are those before it, as the effect may not tell all."""
    name, clock = effect.name, contact.clock
    if effect.kind == "score":
        return Held("score", name, effect.key, round(effect.after - effect.before, 6), None, clock, revision)
    if effect.kind == "set":
        return Held("set", name, "", contact.traits[name], traits.get(name), clock, revision)
    return Held(effect.kind, name, "", None, None, clock, revision)


def _shared(action: Action, effects: list[Effect], contact: Contact, revision: str) -> Iterator[Held]:
    """What the action had not to do because another rule holds it; it stays until both have stopped."""
    match action:
        case SetAction(traits):
            there = [("set", name, contact.traits.get(name)) for name in traits]
        case ListAction(name):
            there = [("list", name, None)]
        case _:
            there = []
    done = {effect.name for effect in effects}
    for kind, name, value in there:
        other = None if name in done else held_too(contact, kind, name, value)
        if other is not None:
            yield msgspec.structs.replace(other, at=contact.clock, revision=revision)


def held_too(contact: Contact, kind: str, name: str, value: Any) -> Held | None:
    """The first that rules hold of the contact and that is the same trait with the same value, or the same list."""
    return next(
        (
            held
            for each in contact.held.values()
            for held in each
            if (held.kind, held.name) == (kind, name) and (held.value is value or same(held.value, value))
        ),
        None,
    )


def _take_back(work: Work, held: Held) -> Effect | None:
    if held.kind != "score" and held_too(work.contact, held.kind, held.name, held.value) is not None:
        return None
    match held.kind:
        case "score":
            return work.set_score(held.name, held.key, work.score(held.name, held.key) - held.value)
        case "set":
            if work.contact.traits.get(held.name) == held.value:
                return work.set_trait(held.name, held.before)
            _hand_down(work.contact, held)
            return None
        case _:
            return work.move_list(held.name, False)


def _hand_down(contact: Contact, gone: Held) -> None:
    """Another rule has set the trait over this one, and would put back what does not hold any more."""
    for id, others in contact.held.items():
        contact.held[id] = [
            msgspec.structs.replace(other, before=gone.before)
            if (other.kind, other.name, other.before) == (gone.kind, gone.name, gone.value)
            else other
            for other in others
        ]
