"""A server to try things out on: its clock is put ahead, and what would have happened meanwhile happens.

It is put from one instant to the next at which something is due, and goes on only when all of it is decided and handed
over: each wait is over at its own instant, and no message is late that would have been in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from overture.deploy.settling import Settling
from overture.model import OvertureError, Refused, StartupRefused, clock
from overture.rules.durations import DAY, duration_text
from overture.settings import Settings
from overture.state import keys
from overture.state.ahead import Ahead
from overture.state.rest import Rest, Rests
from overture.state.wire import Wire
from overture.web.clocked import ClockView

log = logging.getLogger("overture.clock")

FARTHEST = 400 * DAY  # ms ahead of the machine's clock, in all
PATIENCE = 20.0  # seconds that a request waits until the clock is where it asked for
STUCK = 60.0  # seconds without any progress after which the clock stays where it is
LOOK = 0.005  # seconds between two looks
CLAIMED = 10_000  # ms that the process may be silent which puts the clock ahead, or its store
CLAIM = 1.0  # seconds between two words of it
FOLLOW = 2.0  # seconds that one read of the clock lasts at most


async def load_clock(wire: Wire, settings: Settings, say: Callable[[str], None]) -> None:
    """Put this process's clock where the store's is. Raises StartupRefused where it was moved and may not be."""
    ahead = await Ahead(wire).load()
    if ahead and not settings.movable_clock:
        raise StartupRefused(
            "store.clock_moved",
            f"The clock of this store was put {told(ahead)} ahead to try things out, and movable_clock is off.",
            "Begin with an empty store for anything in earnest, since time that passed does not come back; "
            "to go on trying, set OVERTURE_MOVABLE_CLOCK=true.",
        )
    if settings.movable_clock:
        where = f"is {told(ahead)} ahead: {clock.to_text(clock.now())}" if ahead else "was not moved yet"
        say(f"This server is for trying things out: its clock can be moved (movable_clock), and {where}")


def told(ms: int) -> str:
    """How far, to the minute: ``3d 4h``, ``20m``, ``45s``."""
    minutes = round(ms / 60_000)
    parts = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "m"))
    return " ".join(f"{n}{unit}" for n, unit in parts if n) or f"{ms / 1000:g}s"


class FastForward:
    """Implements `overture.web.services.Clock`, and follows what other processes do to the clock."""

    def __init__(self, wire: Wire, url: str, settings: Settings, settling: Settling) -> None:
        """``url``: of the store, for a connection of its own."""
        self._wire = wire
        self._url = url
        self._movable = settings.movable_clock
        self._settling = settling
        self._ahead = Ahead(wire)
        self._rests = Rests(wire, settings.partitions)
        self._moving: asyncio.Task[None] | None = None

    async def run(self, moved: Callable[[], None]) -> None:
        """Follow the store's clock for ever; ``moved`` is called each time it was put ahead."""
        wire = Wire(self._url)
        ahead = Ahead(wire)
        try:
            while True:
                try:
                    if await ahead.follow(FOLLOW):
                        moved()
                except OvertureError:
                    await asyncio.sleep(FOLLOW)
        finally:
            await wire.close()

    async def close(self) -> None:
        """Leave the clock where it is."""
        if self._moving is not None:
            self._moving.cancel()
            await asyncio.wait([self._moving])

    async def view(self) -> ClockView:
        """Raises Refused 409 ``clock.fixed``."""
        self._require_movable()
        to = await self._wire.call("GET", keys.CLOCK_TO)
        return ClockView(clock.to_text(clock.now()), clock.ahead(), clock.to_text(int(to)) if to else None)

    async def advance(self, ms: int, *, jump: bool) -> ClockView:
        """Put the clock ahead, and answer when it is there, or after `PATIENCE` on the way (``to`` says where to).

        Raises Refused ``clock.fixed``, ``clock.too_far``, ``clock.moving``, ``clock.stuck``.
        """
        self._require_movable()
        if (ahead := await self._ahead.load()) + ms > FARTHEST:
            sentence = f"A clock goes {duration_text(FARTHEST)} ahead in all, and this one is {told(ahead)} already."
            raise Refused("clock.too_far", sentence, "Begin with an empty store.", "/advance", 409)
        to = clock.now() + ms
        if not await self._wire.call("SET", keys.CLOCK_TO, to, "NX", "PX", CLAIMED):
            hint = "GET /v1/clock says where to."
            raise Refused("clock.moving", "The clock is being put ahead already.", hint, status=409)
        self._moving = task = asyncio.create_task(self._go(to, jump=jump))
        task.add_done_callback(_ended)
        await asyncio.wait([task], timeout=PATIENCE)
        if task.done():
            task.result()
        return await self.view()

    def _require_movable(self) -> None:
        if not self._movable:
            hint = "On a server for trying things out, OVERTURE_MOVABLE_CLOCK=true lets it be moved."
            raise Refused("clock.fixed", "The clock of this server is the machine's.", hint, status=409)

    async def _go(self, to: int, *, jump: bool) -> None:
        there = asyncio.Event()
        claim = asyncio.create_task(self._claim(to, there))
        try:
            if jump:
                await self._ahead.put(to - clock.wall())
            while True:
                rest = await self._rested()
                if await self._settled():
                    continue  # who comes from here on goes the way that won, and is shown what was learned
                if clock.now() >= to:
                    break
                if (following := min(rest.due or to, to)) > clock.now():
                    await self._ahead.put(following - clock.wall())
        finally:
            there.set()
            await asyncio.wait([claim])  # not cancelled: what it had sent could come after the next line
            with contextlib.suppress(OvertureError):
                await self._wire.call("DEL", keys.CLOCK_TO)

    async def _claim(self, to: int, there: asyncio.Event) -> None:
        """Say where to until it is there, however long one instant takes."""
        while not there.is_set():
            with contextlib.suppress(OvertureError):
                await self._wire.call("SET", keys.CLOCK_TO, to, "PX", CLAIMED)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(there.wait(), CLAIM)

    async def _settled(self) -> bool:
        """Whether outcomes changed anything just now, which is otherwise looked for every few seconds."""
        try:
            return await self._settling.settle()
        except OvertureError:  # the next look is as good
            return False

    async def _rested(self) -> Rest:
        """Wait until all is decided and handed over that is due by now. Raises Refused ``clock.stuck``."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        last: Rest | None = None
        while True:
            seen = await self._rests.look()
            now, time = clock.now(), loop.time()
            if seen == last and seen.holds(now):
                return seen
            if seen != last:
                since = time
            elif time > since + STUCK:
                raise _stuck(seen, now)
            last = seen
            if not seen.holds(now):
                await asyncio.sleep(LOOK)


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.warning("The clock stays where it is: %s", error)


def _stuck(rest: Rest, now: int) -> Refused:
    waits = f"{rest.lag} facts wait to be decided, {rest.behind} partitions for the last activation"
    return Refused(
        "clock.stuck",
        f"Nothing has moved for {STUCK:g} s at {clock.to_text(now)}: {waits}, or what is due is not taken up.",
        "See that a worker and a deliverer run (GET /readyz); with jump the clock goes on by itself.",
        status=503,
    )
