"""Facts whose rules ask scripts, decided ahead of their turn, so that the calls of many contacts go together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from overture.decide import Plan, step
from overture.model import Contact, Fact, Step
from overture.model.script import Awaiting, Call, Said, unavailable

RunScripts = Callable[[Sequence[Call]], Awaitable[Sequence[Said]]]
"""Has calls made, without standing in the way of the loop; the answers in the order of the calls."""

AHEAD = 256  # facts decided ahead of their turn
SLICE = 64  # of these before other tasks of this process get a turn


async def run_none(calls: Sequence[Call]) -> Sequence[Said]:
    return unavailable(calls)


async def decide_ahead(
    states: Mapping[str, Contact], facts: Sequence[Fact], plan: Plan, now: int, run: RunScripts
) -> list[Step | Exception]:
    """What becomes of the facts, in their order, up to the next activation, which is another plan's; an exception for
    one that cannot be decided. ``states``: the contacts as they stand before the first of them.

    A contact's facts are decided one after the other. What others wait for meanwhile is asked in one go.
    """
    end = next((n for n, fact in enumerate(facts) if fact.type == "$activate"), len(facts))
    facts = facts[: min(end, AHEAD)]
    found: dict[int, Step | Exception] = {}
    latest: dict[str, Contact] = {}
    answers: dict[Call, Said] = {}
    todo = list(range(len(facts)))
    while todo:
        waiting: set[str] = set()
        calls: dict[Call, None] = {}
        left: list[int] = []
        for done, n in enumerate(todo, 1):
            fact = facts[n]
            if fact.contact in waiting:
                left.append(n)
                continue
            contact = latest.get(fact.contact) or states.get(fact.contact) or Contact(fact.contact)
            try:
                outcome = found[n] = step(contact, fact, plan, now, answers)
                latest[fact.contact] = outcome.contact
            except Awaiting as awaiting:
                calls.update(dict.fromkeys(awaiting.calls))
                waiting.add(fact.contact)
                left.append(n)
            except Exception as error:
                found[n] = error
            if done % SLICE == 0:
                await asyncio.sleep(0)
        if calls:
            answers.update(zip(calls, await run(list(calls)), strict=True))
        todo = left
    return [found[n] for n in range(len(facts))]
