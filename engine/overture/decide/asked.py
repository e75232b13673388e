"""The step for those who can wait where they are: what it asks of scripts is asked at once."""

from __future__ import annotations

from overture.decide.plan import Plan
from overture.decide.step import step
from overture.model import Contact, Fact, Step
from overture.model.script import Ask, Awaiting, Call, Said


def step_asking(
    contact: Contact, fact: Fact, plan: Plan, now: int, ask: Ask, known: dict[Call, Said] | None = None
) -> Step:
    """`step`, with scripts asked by ``ask``. ``known``: answers there are already; those to come are added."""
    answers: dict[Call, Said] = {} if known is None else known
    while True:
        try:
            return step(contact, fact, plan, now, answers)
        except Awaiting as awaiting:
            answers.update(zip(awaiting.calls, ask(awaiting.calls), strict=True))
