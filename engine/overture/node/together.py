"""A join as an explanation tells it: which of its facts are there, and at which part it gets no further."""

from __future__ import annotations

from typing import Any, cast

from overture.decide.joins import Chosen, Joining
from overture.match import holds
from overture.match.explain import Operand, Verdict, explain
from overture.model import Candidate, Contact, Fact
from overture.rules.durations import duration_text
from overture.rules.ruleset import Join, Rule
from overture.rules.spelling import spell
from overture.rules.tree import ORDINALS, Place


def explain_join(rule: Rule, join: Join, fact: Fact, contact: Contact) -> Verdict:
    """``contact``: as it was before the fact. Where the fact matches no part, that is all there is to say."""
    matched = [n for n, part in enumerate(join.parts) if holds(part.when, fact, contact)]
    if not matched:
        return explain(rule.when, fact, contact)
    joining = Joining(rule, join)
    known = contact.joins.get(joining.id) or [[] for _ in join.parts]
    chains = [joining.longest(place, fact, known, contact) for place in matched]
    at, chosen = max(zip(matched, chains, strict=True), key=lambda pair: len(pair[1]))
    terms: list[Verdict] = []
    for n, part in enumerate(join.parts):
        options = [fact] if n == at else known[n][::-1]
        if n < len(chosen):
            terms.append(_part(n, part.when, True, chosen[n]))
        elif n == len(chosen) and options:
            terms.append(_stuck(join, n, chosen, options[0], contact))
        else:
            terms.append(_part(n, part.when, False, None, decided=n == len(chosen)))
    text = f"{', '.join(ORDINALS[: len(join.parts)])} within {duration_text(join.within_ms)}"
    return Verdict("and", text, rule.place, len(chosen) == len(join.parts), True, (), tuple(terms))


def _part(n: int, when: Any, holds: bool, chosen: Fact | Candidate | None, *, decided: bool = True) -> Verdict:
    """A part with the fact that stands for it, or without any."""
    name = ORDINALS[n]
    if chosen is None:
        operands = (Operand(name, None),)
    else:
        operands = (Operand(f"{name}.id", chosen.id), Operand(f"{name}.occurred_at", chosen.occurred_at, "instant"))
    return Verdict("test", f"{name}: {spell(when)}", when.place, holds, decided, operands)


def _stuck(join: Join, n: int, chosen: Chosen, option: Fact | Candidate, contact: Contact) -> Verdict:
    """The part at which it gets no further, with the fact that comes nearest: the newest of those remembered."""
    part = join.parts[n]
    terms = [_part(n, part.when, True, option, decided=False)]
    if chosen:
        first, last = chosen[0].occurred_at, chosen[-1].occurred_at
        in_time = last <= option.occurred_at <= first + join.within_ms
        operands = tuple(
            Operand(f"{ORDINALS[i]}.occurred_at", c.occurred_at, "instant") for i, c in enumerate([*chosen, option])
        )
        words = f"in this order, within {duration_text(join.within_ms)}"
        terms.append(Verdict("test", words, part.when.place, in_time, not in_time, operands))
        if any(c.id == option.id for c in chosen):
            terms.append(Verdict("test", "a fact of its own", part.when.place, False, in_time, ()))
    if part.relation is not None:
        facts = cast(Fact, [*chosen, option])  # what a relation is evaluated over: see `compile_relation`
        terms.append(explain(part.relation, facts, contact))
    place: Place = part.when.place
    return Verdict("and", f"{ORDINALS[n]}: {spell(part.when)}", place, False, True, (), tuple(terms))
