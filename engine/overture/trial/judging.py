"""Does an expectation hold, and if not, what is there instead?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from overture.decide import Plan
from overture.match.explain import Verdict, explain
from overture.match.values import same
from overture.model import Contact, Fact
from overture.model.decay import read
from overture.trial.document import Claim
from overture.trial.happening import Happening, Ways
from overture.trial.results import Failure
from overture.trial.text import shown
from overture.trial.values import milliseconds_of

_NO_FACT = Fact("", "", "", 0, 0)  # a segment's condition reads none
_PARTIAL = ("text", "html")  # of a message's body a part is said


def judge(claim: Claim, contact: Contact, since: Happening, plan: Plan, at: int, ways: Ways) -> Failure | None:
    """None where the claim holds: at ``at``, of the contact, and of what happened since the last ``expect``; ``ways``:
    where it stands in journeys.
    """
    expected = claim.expected
    values: list[str] = []
    match claim.kind:
        case "scores":
            name, *key = claim.path
            found = read(contact, name, key[0] if key else "", at, plan.half_lives.get(name, 0))
            holds = found == expected
        case "traits":
            found = contact.traits.get(claim.path[0])
            holds = _equal(expected, found)
        case "segments":
            found = claim.path[0] in contact.segments
            holds = found == expected
            values = [] if holds else _condition(claim.path[0], contact, plan)
        case "lists":
            found = claim.path[0] in contact.lists
            holds = found == expected
        case "sent":
            found = since.sent
            holds = _all(expected, found, _is_message)
            found = [_brief(message, expected) for message in found]
        case "facts" | "issued":
            found = since.done("assert" if claim.kind == "facts" else "issue", claim.path[0])
            holds = len(found) == expected if isinstance(expected, int) else _all(expected, found, _has)
            found = len(found) if isinstance(expected, int) else found
        case "held" | "suppressed":
            reasons = since.held(claim.path[0]) if claim.kind == "held" else since.reasons(claim.path[0])
            holds = expected in reasons if expected is not None else not reasons
            found = reasons[0] if len(reasons) == 1 else reasons or None
        case "journey":
            name, *key = claim.path
            ids = {journey.id for journey in plan.program.journeys.values() if journey.name == name}
            found = next((way for (id, k), way in ways.items() if id in ids and k == (key[0] if key else "")), None)
            holds = found == expected or (expected == "ended" and found is not None and found.startswith("end:"))
        case "error":
            codes = [error.partition(":")[0] for error in since.errors]
            holds = expected in codes if expected is not None else not codes
            found = codes[0] if codes else None
    if holds:
        return None
    return Failure(claim.place.line, claim.place.column, claim.what, shown(expected), shown(found), values)


def _all(expected: list[Any], found: list[Any], fits: Any) -> bool:
    return len(expected) == len(found) and all(map(fits, expected, found))


def _has(expected: dict[str, Any], found: dict[str, Any]) -> bool:
    return all(_equal(value, found.get(name)) for name, value in expected.items())


def _equal(expected: Any, found: Any) -> bool:
    """An instant is a number in traits and facts, and may be written as one reads it."""
    if isinstance(expected, str) and type(found) is int:
        return milliseconds_of(expected) == found
    return same(expected, found)


def _is_message(expected: dict[str, str], found: dict[str, str]) -> bool:
    return all(value in found[key] if key in _PARTIAL else value == found[key] for key, value in expected.items())


def _brief(message: dict[str, str], expected: list[dict[str, str]]) -> dict[str, str]:
    """What says which message it is, and what was asked for."""
    asked = {"channel", "template"}.union(*expected)
    return {key: value for key, value in message.items() if key in asked}


def _condition(name: str, contact: Contact, plan: Plan) -> list[str]:
    """The parts of a segment's condition, with the values that each read."""
    when = plan.segments[name].when
    return list(_tests(explain(when, _NO_FACT, contact))) if when is not None else []


def _tests(verdict: Verdict) -> Iterator[str]:
    for term in verdict.terms:
        yield from _tests(term)
    if verdict.kind == "test":
        read = ", ".join(f"{operand.text} = {shown(operand.value)}" for operand in verdict.operands)
        yield f"{verdict.text}: {shown(verdict.holds)}{f' ({read})' if read else ''}"
