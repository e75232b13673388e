"""Actions: what a rule does, compiled to functions over the working copy.

An action never raises for bad data: it answers an effect whose ``reason`` says why nothing was done, and the rule's
other actions go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from overture.decide.carried import names
from overture.decide.consent import move_on_list
from overture.decide.examples import compile_prediction
from overture.decide.limits import MESSAGES, size, too_much
from overture.decide.positions import stop
from overture.decide.scripts import Asked, asking, built, compile_run, scored
from overture.decide.work import Work, is_finite
from overture.match import compile_value
from overture.model import Contact, Effect, Fact, Message
from overture.model.clock import to_text
from overture.model.errors import PluginFailed
from overture.model.ids import message_id
from overture.model.pure import Scoring
from overture.model.scoring import score_input
from overture.rules import ruleset as r
from overture.rules.learning import Model
from overture.rules.program import Program
from overture.rules.script import ScriptDecl

Getter = Callable[[Fact, Contact], Any]
Act = Callable[[Work, Fact, str, str], list[Effect]]
"""(working copy, matched fact, rule id, revision) → what it did."""


def compile_action(action: r.Action, program: Program) -> Act:
    match action:
        case r.ScoreAction():
            return _score(action, program.scores[action.name], program)
        case r.SetAction():
            return _set(action)
        case r.UnsetAction():
            return _unset(action)
        case r.AssertAction():
            return _assert(action)
        case r.SegmentAction():
            return _segment(action)
        case r.ListAction():
            return _list(action, program.lists[action.name])
        case r.IssueAction():
            return _issue(action)
        case r.SendAction():
            return _send(action, program)
        case r.StartAction():
            return _start(action)
        case r.StopAction():
            return _stop(action)
        case r.RunAction():
            return compile_run(action, program)


def _getters(values: Mapping[str, r.Value]) -> list[tuple[str, Getter]]:
    return [(name, compile_value(node)) for name, node in values.items()]


def _computed(
    getters: list[tuple[str, Getter]], fact: Fact, contact: Contact, kind: str, what: str
) -> tuple[dict[str, Any], int, list[Effect]]:
    """The values that are not missing, their size, and an effect of that kind for each that is too much to keep."""
    values: dict[str, Any] = {}
    total = 0
    refused: list[Effect] = []
    for name, get in getters:
        value = get(fact, contact)
        if value is None:
            continue
        length = size(value)
        if reason := too_much(value, length):
            refused.append(Effect(kind, what, name, reason=reason))
        else:
            values[name] = value
            total += length
    return values, total, refused


def _score(action: r.ScoreAction, decl: r.ScoreDecl, program: Program) -> Act:
    node, by, adds = action.add if action.add is not None else action.set, action.by, action.add is not None
    judge = None if by is None else _judge(by, program)
    amount: Getter | None = None if node is None else compile_value(node)
    key_of: Getter | None = compile_value(action.per) if action.per is not None else None
    if key_of is None and decl.per:
        per = decl.per
        key_of = lambda fact, _contact: fact.properties.get(per)  # noqa: E731

    def act(work: Work, fact: Fact, _rule: str, _revision: str) -> list[Effect]:
        key = ""
        if key_of is not None:
            value = key_of(fact, work.contact)
            if type(value) is int:
                value = str(value)
            if type(value) is not str or not value:
                return [Effect("score", decl.name, reason="score.no_key")]
            key = value
        if judge is not None:
            value, told = judge(work, fact, decl.name, key)
            effect = None if value is None else work.set_score(decl.name, key, value)
            return [told, *([effect] if effect else [])]
        n: Any = amount(fact, work.contact) if amount is not None else None
        if not is_finite(n):
            return [Effect("score", decl.name, key, reason="value.not_a_number")]
        effect = work.add_score(decl.name, key, n, fact.occurred_at) if adds else work.set_score(decl.name, key, n)
        return [effect] if effect else []

    return act


Judge = Callable[[Work, Fact, str, str], tuple[float | None, Effect]]
"""(working copy, fact, score, its key) → what the score is to be, None: nothing is said; and what tells of it."""


def _judge(by: Scoring | ScriptDecl | Model, program: Program) -> Judge:
    match by:
        case ScriptDecl():
            ask = asking(by, program)
            return lambda work, fact, name, key: scored(by, ask(work, fact), _path(name, key))
        case Model():
            predicted = compile_prediction(by)
            return lambda work, fact, name, key: predicted(work, fact, _path(name, key))
        case Scoring():
            return partial(_plugged, by)


def _plugged(by: Scoring, work: Work, fact: Fact, name: str, key: str) -> tuple[float | None, Effect]:
    path = _path(name, key)
    try:
        said = by.score(score_input(fact, work.contact, work.half_lives, name, key))
    except PluginFailed as error:
        return None, Effect("scorer", by.name, path, by.version, error.message, error.code)
    told = {"value": said.value, "contributions": dict(said.contributions)}
    return said.value, Effect("scorer", by.name, path, by.version, told)


def _path(name: str, key: str) -> str:
    return f"{name}.{key}" if key else name


def _set(action: r.SetAction) -> Act:
    getters = _getters(action.traits)

    def act(work: Work, fact: Fact, _rule: str, _revision: str) -> list[Effect]:
        effects: list[Effect] = []
        # All values come before the first trait is set: in a mapping nothing is first.
        for name, value in [(name, get(fact, work.contact)) for name, get in getters]:
            if value is None:
                effects.append(Effect("set", name, reason="value.missing"))
            elif effect := work.set_trait(name, value):
                effects.append(effect)
        return effects

    return act


def _unset(action: r.UnsetAction) -> Act:
    def act(work: Work, _fact: Fact, _rule: str, _revision: str) -> list[Effect]:
        present = [name for name in action.traits if name in work.contact.traits]
        return [effect for name in present if (effect := work.set_trait(name, None))]

    return act


def _assert(action: r.AssertAction) -> Act:
    getters = _getters(action.properties)

    def act(work: Work, fact: Fact, rule: str, _revision: str) -> list[Effect]:
        values, length, refused = _computed(getters, fact, work.contact, "assert", action.type)
        return [work.derive(rule, fact, action.type, values, length), *refused]

    return act


def _segment(action: r.SegmentAction) -> Act:
    def act(work: Work, _fact: Fact, _rule: str, _revision: str) -> list[Effect]:
        effect = work.move_segment(action.name, action.enter)
        return [effect] if effect else []

    return act


def _list(action: r.ListAction, decl: r.ListDecl) -> Act:
    def act(work: Work, _fact: Fact, _rule: str, _revision: str) -> list[Effect]:
        return move_on_list(work, decl, action.add)

    return act


def _issue(action: r.IssueAction) -> Act:
    getters = _getters(action.properties)

    def act(work: Work, fact: Fact, rule: str, _revision: str) -> list[Effect]:
        if work.repeated:
            return [Effect("issue", action.kind, reason="corrected")]
        values, _, refused = _computed(getters, fact, work.contact, "issue", action.kind)
        return [*work.issue(rule, action.kind, values), *refused]

    return act


def _send(action: r.SendAction, program: Program) -> Act:
    needs, what = sorted(action.needs), action.choice or action.template
    payloads: dict[tuple[str, str], Asked] = {}  # by revision and template: a choice names it when a fact is there

    def act(work: Work, fact: Fact, rule: str, revision: str) -> list[Effect]:
        id = message_id(work.root.contact, work.root.id, rule, work.number(f"send {rule}"))
        if work.root.backfill:
            return [Effect("send", what, id, reason="backfill")]
        if work.repeated:
            return [Effect("send", what, id, reason="corrected")]
        if len(work.messages) >= MESSAGES:
            return [Effect("send", what, id, reason="step.too_many_messages")]
        ruleset = rule.partition("/")[0]
        named, shown = action.template, list[Effect]()
        if action.choice:
            asked = work.choosing.find(ruleset, revision, action.choice) if work.choosing is not None else None
            shown = [asked.show(work, id)] if asked is not None else []
            named = shown[0].key if shown else ""
            if not named:
                return [*shown, Effect("send", what, id, reason="choice.none_eligible" if shown else "choice.unknown")]
        own: dict[str, Any] = {"type": fact.type, "id": fact.id, "occurred_at": to_text(fact.occurred_at)}
        template = program.template(ruleset, revision, named)
        if template is not None and names(template, "context"):
            own["context"] = fact.said
        context: dict[str, Any] = {"fact": {**fact.properties, **own}}
        told: list[Effect] = []
        if template is not None and (builder := template.builder) is not None:
            if (ask := payloads.get((revision, named))) is None:
                ask = payloads[revision, named] = asking(builder, program)
            data, effect = built(builder, ask(work, fact), template.name)
            told.append(effect)
            if data is None:
                return [*shown, *told, Effect("send", template.name, id, reason=effect.reason)]
            context["data"] = data
        position, clock = work.position, work.contact.clock
        if position is not None:
            context["journey"] = fact.context["$journey"]
        expires = 0
        if action.late_ms is not None:
            expires = action.late_ms + (clock if position is None else position.planned)
        message = Message(
            id=id,
            contact=work.contact.id,
            channel=action.channel,
            template=named,
            purpose=action.purpose,
            to=action.to,
            ruleset=ruleset,
            revision=revision,
            rule=rule,
            fact=fact.id,
            created_at=clock,
            context=context,
            expires=expires,
            priority=action.priority,
            approval=action.approval,
            journey="" if position is None else position.journey,
            step="" if position is None else position.step,
            needs=needs,
            at_once=action.expires,
            position="" if position is None else position.id,
            order=work.contact.seq * MESSAGES + len(work.messages),
            best_ms=action.best_ms,
            otherwise=action.otherwise,
            blocks={} if template is None else dict(template.pins),
        )
        work.messages.append(message)
        return [*shown, *told, Effect("send", named, id, None, action.channel)]

    return act


def _start(action: r.StartAction) -> Act:
    def act(work: Work, fact: Fact, rule: str, _revision: str) -> list[Effect]:
        journey = f"{rule.partition('/')[0]}/{action.journey}"
        work.starts.append((journey, fact))
        return [Effect("start", journey)]

    return act


def _stop(action: r.StopAction) -> Act:
    def act(work: Work, _fact: Fact, rule: str, _revision: str) -> list[Effect]:
        return stop(work, f"{rule.partition('/')[0]}/{action.journey}")

    return act
