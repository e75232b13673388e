"""Running the sources that fetch: each in one process of all, from the place that was reached, again where it fails."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, MutableMapping, Sequence

from overture.model import Overloaded, OvertureError, StoreUnavailable, clock
from overture.model.errors import describe
from overture.plugin.cutoff import Blocked, bounded
from overture.plugin.guard import Guard, Raised, contained
from overture.plugin.listening import OpenPull
from overture.plugin.rerun import FIRST, Rerun
from overture.plugin.sources import FactBody, NoFact, Taken
from overture.plugin.steps import STRETCH, unwatched
from overture.plugin.threads import Threads
from overture.state.turns import HOLD_MS, Turns
from overture.web.incoming import in_pieces
from overture.web.services import Services

log = logging.getLogger("overture.plugin")

RENEW = HOLD_MS / 3000  # seconds
PATIENCE = 0.5  # seconds until a server that has enough to do is asked again
CLOSING = 5.0  # seconds that a source gets to end


class TurnLost(Exception):
    """Another process runs the source by now."""


class _Emit:
    """Implements `overture.plugin.sources.Emit` for one run of one source."""

    def __init__(self, name: str, turns: Turns, services: Services, place: str) -> None:
        self.place = place
        self._name = name
        self._turns = turns
        self._services = services

    async def __call__(
        self,
        facts: Sequence[FactBody],
        place: str = "",
        *,
        backfill: bool = False,
        refused: Sequence[NoFact] = (),
    ) -> Taken:
        return await unwatched(self._take(facts, place, backfill, refused))

    async def _take(self, facts: Sequence[FactBody], place: str, backfill: bool, refused: Sequence[NoFact]) -> Taken:
        name, services = self._name, self._services
        while True:
            try:
                taken = await in_pieces(
                    facts, name, name, services, clock.now(), backfill=backfill, reports=True, unread=refused
                )
                break
            except Overloaded:
                await asyncio.sleep(PATIENCE)
        if place and place != self.place:
            # What is emitted twice, as the turn was lost meanwhile, is a duplicate; a place put back would be worse.
            if not await self._turns.reach(self._name, place):
                raise TurnLost(f"Another process runs the source {self._name}.")
            self.place = place
        return taken


class Pulling:
    """All sources of a process that fetch. ``states`` is told what each is doing, for people."""

    def __init__(
        self, sources: Mapping[str, OpenPull], turns: Turns, services: Services, states: MutableMapping[str, str]
    ) -> None:
        self.states = states
        self._sources = sources
        self._threads = {name: Threads() for name in sources}
        self._turns = turns
        self._services = services

    async def run(self) -> None:
        """For ever; what one of them does is nothing to the others."""
        async with asyncio.TaskGroup() as group:
            for name, source in self._sources.items():
                group.create_task(self._keep(name, source))

    async def _keep(self, name: str, source: OpenPull) -> None:
        rerun = Rerun()
        while True:
            self.states[name] = "another process runs it"
            began = asyncio.get_running_loop().time()
            try:
                while not await self._turns.hold(name):
                    await asyncio.sleep(RENEW)
                began = asyncio.get_running_loop().time()
                self.states[name] = "running"
                await self._run(name, source, rerun.stretch)
                self.states[name] = "finished"
                while await self._turns.hold(name):  # else another process would run it to its end once more
                    await asyncio.sleep(RENEW)
            except (StoreUnavailable, TurnLost) as error:
                self.states[name] = f"waiting: {error}"
                await asyncio.sleep(FIRST)
                continue
            except Exception as error:
                pause = rerun.after(error, asyncio.get_running_loop().time() - began)
                told = _told(error)
                self.states[name] = f"failed, run again in {pause:g} s: {told}"
                log.warning("The source %s failed and is run again in %g s: %s", name, pause, told)
                await asyncio.sleep(pause)

    async def _run(self, name: str, source: OpenPull, stretch: float) -> None:
        """One run, as long as the turn is kept. Raises what the source raised; otherwise it has come to its end."""
        emit = _Emit(name, self._turns, self._services, await self._turns.place(name))
        call = contained(source.source.run, emit, stretch=stretch, threads=self._threads[name])
        running = asyncio.ensure_future(call)
        try:
            while True:
                done, _ = await asyncio.wait({running}, timeout=RENEW)
                if done:
                    break
                if not await self._turns.hold(name):
                    raise TurnLost(f"Another process runs the source {name}.")
            if running.cancelled():
                raise RuntimeError("It cancelled itself.")
            if isinstance(ended := running.result(), Raised):
                raise ended.error if isinstance(ended.error, Exception) else RuntimeError(_told(ended.error))
        except BaseException:
            running.cancel()
            await asyncio.wait({running}, timeout=CLOSING)
            with contextlib.suppress(OvertureError):
                await self._turns.give(name)
            raise

    async def close(self) -> None:
        """Let go of what the sources hold; what that raises is of no use to anyone any more. Bounded."""
        await asyncio.gather(*(Guard().close(source.source.close) for source in self._sources.values()))


def _told(error: BaseException) -> str:
    """The text of an error is the source's code as well."""
    try:
        return bounded("The text of its error", STRETCH, describe, error)
    except Blocked as own:
        return own.message
