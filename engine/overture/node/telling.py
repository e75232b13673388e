"""What was decided, as observers are told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from overture.model import Fact
from overture.model.effects import Step
from overture.model.scoring import View
from overture.plugin.observing import Decided, Event, HostedObserver, MessageOutcome

LEFT = 2.0  # seconds that observers get for what is left when the process stops
_MESSAGE = "message."


class Telling:
    """Hands what was decided to all observers; never waits for one."""

    def __init__(self, observers: Sequence[HostedObserver]) -> None:
        self._observers = observers

    def decided(self, steps: Sequence[Step]) -> None:
        """Called when they are on record."""
        for step in steps:
            fact = step.trace.fact
            if fact.type.startswith("$") or step.forwards:  # of what is handed on it is told where it is decided
                continue
            event = _event(fact, step)
            for observer in self._observers:
                observer.offer(event)

    async def run(self) -> None:
        """Tell them, for ever; what one of them does is nothing to the others."""
        async with asyncio.TaskGroup() as group:
            for observer in self._observers:
                group.create_task(observer.run())

    async def drain(self) -> None:
        await asyncio.gather(*(observer.drain(LEFT) for observer in self._observers))


def _event(fact: Fact, step: Step) -> Event:
    if fact.type.startswith(_MESSAGE):
        told = fact.properties
        return MessageOutcome(
            message=str(told.get("message", "")),
            contact=step.contact.id,
            channel=str(told.get("channel", "")),
            template=str(told.get("template", "")),
            state=fact.type.removeprefix(_MESSAGE),
            reason=str(told.get("reason", "")),
            detail=str(told.get("detail", "")),
            at=fact.occurred_at,
        )
    return Decided(
        id=fact.id,
        type=fact.type,
        contact=step.contact.id,
        occurred_at=fact.occurred_at,
        accepted_at=fact.accepted_at,
        properties=View(fact.properties),
        context=View(fact.context),
        source=fact.source,
        cause=fact.cause,
        backfill=fact.backfill,
        rules=tuple(dict.fromkeys(firing.rule for firing in step.trace.firings if not firing.held_back)),
        messages=tuple(message.id for message in step.messages),
    )
