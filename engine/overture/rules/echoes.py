"""Messages whose own outcome sends them once more: `message.sent` of one is the cause of the next, for ever."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from overture.rules.journey import Do, Journey
from overture.rules.reach import named_types, walk
from overture.rules.report import Report
from overture.rules.ruleset import Action, Rule, SendAction
from overture.rules.tree import Field, Node

_OUTCOMES = frozenset({"message.sent", "message.dropped", "message.failed", "message.delivered"})
_HINT = "Say which message it is about (fact.template, fact.channel), or let it happen once (once_per, reentry)."


def check_echoes(rules: Iterable[Rule], journeys: Mapping[str, Journey], report: Report) -> None:
    for rule in rules:
        if rule.once is None and _sends(rule.then) and _any_outcome(rule.when):
            message = f"What becomes of the message of the rule {rule.name!r} sets off the rule again"
            report.at("send.echoes", message, rule.place, f"/rules/{rule.name}", _HINT)
    for journey in journeys.values():
        again = (journey.restart_when, journey.enter_when if journey.reentry == "always" else None)
        sends = any(_sends(step.then) for step in journey.steps.values() if isinstance(step, Do))
        if sends and any(_any_outcome(when) for when in again if when is not None):
            message = f"What becomes of a message of the journey {journey.name!r} begins the journey again"
            report.at("send.echoes", message, journey.place, f"/journeys/{journey.name}", _HINT)


def _sends(actions: Iterable[Action]) -> bool:
    return any(isinstance(action, SendAction) for action in actions)


def _any_outcome(when: Node) -> bool:
    """Whether it asks for the outcome of a message, and nothing about which one."""
    if _OUTCOMES.isdisjoint(named_types(when)):
        return False
    return all(node.path[0] == "type" for node in walk(when) if isinstance(node, Field) and node.root == "fact")
