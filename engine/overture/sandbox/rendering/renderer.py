"""The renderer for a process with an event loop: what is asked goes on at once, and is answered in that order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from overture.model.pages import Engine, Fault, Page, Piece, Rendered
from overture.sandbox.rendering.spawning import COMMAND, ENVIRONMENT, PATIENCE, end_group
from overture.sandbox.rendering.strikes import Strikes
from overture.sandbox.rendering.wire import (
    TOO_SLOW,
    Answer,
    Answers,
    Ask,
    Check,
    Died,
    Garbled,
    Refusal,
    Render,
    crashed,
    faults,
    frame,
    gone,
    rendered,
    was_too_slow,
)

STARTS = 3  # of a process that ends before it has answered anything; then who asks is told


@dataclass(slots=True)
class _Open:
    ask: Ask
    request: bytes
    answer: asyncio.Future[Answer]
    in_vain: int = 0  # processes that did not answer it in time


class Renderer:
    """Give back by `close`. All but `engine` belongs to one event loop."""

    def __init__(self, locale: str = "en", patience: float = PATIENCE) -> None:
        """``locale``: for contacts that have none. ``patience``: seconds for one answer; thrice that for the first of a
        process, which has to begin.
        """
        self._locale = locale
        self._allowed = patience
        self._open: deque[_Open] = deque()
        self._process: _Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._in_vain = 0
        self._strikes = Strikes()
        self.crashes = 0

    @property
    def pid(self) -> int | None:
        """Of its process; None where none has been started."""
        return self._process.pid if self._process is not None else None

    async def render(self, page: Page, context: Mapping[str, Any]) -> Rendered:
        """Raises RenderRefused; Overloaded ``template.no_renderer``, which says nothing about the template."""
        said = self._strikes.left_alone(page)
        if said is not None:
            return rendered(said)
        answer = await self._ask(Render(page, context, self._locale))
        if isinstance(answer, Refusal) and answer.code in ("template.crashed", "template.too_slow"):
            self._strikes.struck(page, answer)
        else:
            self._strikes.went_well(page)
        return rendered(answer)

    async def check(self, pieces: Sequence[Piece]) -> Sequence[Fault | None]:
        """See `Engine`; in one go, so that none costs those behind it more than its share."""
        answers = await asyncio.gather(*(self._ask(Check([piece])) for piece in pieces))
        return [fault for answer in answers for fault in faults(answer, 1)]

    def engine(self) -> Engine:
        """For other threads than the event loop's, which must be the running one."""
        loop = asyncio.get_running_loop()

        def ask(pieces: Sequence[Piece]) -> Sequence[Fault | None]:
            return asyncio.run_coroutine_threadsafe(self.check(pieces), loop).result()

        return ask

    async def close(self) -> None:
        """What is open is answered with an error."""
        starting, process = self._starting, self._process
        self._in_vain = STARTS
        if starting is not None:
            starting.cancel()
            await asyncio.wait([starting])
        process = self._process or process
        self._fail("it was closed")
        if process is not None:
            process.end()
            await process.ended.wait()

    async def _ask(self, ask: Ask) -> Answer:
        answer = await self._asked(ask)
        return await self._asked(ask) if was_too_slow(answer) else answer

    async def _asked(self, ask: Ask) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        item = _Open(ask, frame(ask), future)
        self._open.append(item)
        if self._process is not None:
            self._process.write(item.request)
            if len(self._open) == 1:
                self._wait()
        elif self._starting is None:
            self._in_vain = 0
            self._start()
        return await future

    def _start(self) -> None:
        self._starting = asyncio.get_running_loop().create_task(self._started())

    async def _started(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            _, process = await loop.subprocess_exec(
                lambda: _Process(self._heard, self._lost),
                *COMMAND,
                env=ENVIRONMENT,
                stderr=None,
                start_new_session=True,
            )
        except OSError as error:
            self._starting = None
            self._fail(str(error))
            return
        self._process, self._starting = process, None
        for item in self._open:
            process.write(item.request)
        self._wait()
        if process.ended.is_set():  # before anybody could be told which it was
            self._lost(process)

    def _heard(self, process: _Process, answer: Answer) -> None:
        """What one says that was given up is about what another one is asked now."""
        if process is self._process:
            self._answered(answer)

    def _answered(self, answer: Answer) -> None:
        self._in_vain = 0
        if not self._open:
            return
        item = self._open.popleft()
        if isinstance(answer, Died):
            self.crashes += 1
            answer = crashed(item.ask, answer.signal)
        if not item.answer.done():
            item.answer.set_result(answer)
        self._wait()

    def _wait(self) -> None:
        """For the first that is open."""
        if self._patience is not None:
            self._patience.cancel()
        self._patience = None
        if self._open:
            begun = self._process is not None and self._process.begun
            allowed = self._allowed if begun else 3 * self._allowed
            self._patience = asyncio.get_running_loop().call_later(allowed, self._stuck)

    def _stuck(self) -> None:
        """What a template may compute has a limit of its own: it was the machine that took so long. So it is asked
        again, but not for ever.
        """
        if self._process is not None and self._open:
            process, self._process = self._process, None
            process.end()
            self._open[0].in_vain += 1
            if self._open[0].in_vain >= STARTS:
                self._answered(Died(TOO_SLOW))
            if self._open:
                self._start()

    def _lost(self, process: _Process) -> None:
        """The process ended by itself: what was asked is asked again of another."""
        if process is not self._process:
            return
        self._process = None
        self._in_vain += 1
        if self._in_vain >= STARTS:
            self._fail("it ends as soon as it begins")
        elif self._open:
            self._start()

    def _fail(self, why: str) -> None:
        self._wait()
        while self._open:
            item = self._open.popleft()
            if not item.answer.done():
                item.answer.set_exception(gone(why))
        self._wait()


class _Process(asyncio.SubprocessProtocol):
    def __init__(self, heard: Callable[[_Process, Answer], None], lost: Callable[[_Process], None]) -> None:
        self._heard = heard
        self._lost = lost
        self._answers = Answers()
        self.begun = False  # it has answered something
        self._transport: asyncio.SubprocessTransport | None = None
        self._stdin: asyncio.WriteTransport | None = None
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.SubprocessTransport, transport)  # uvloop's is no subclass of it
        self._stdin = cast(asyncio.WriteTransport, self._transport.get_pipe_transport(0))

    @property
    def pid(self) -> int | None:
        return self._transport.get_pid() if self._transport is not None else None

    def write(self, request: bytes) -> None:
        if self._stdin is not None and not self._stdin.is_closing():
            self._stdin.write(request)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        try:
            for answer in self._answers.feed(data):
                self.begun = True
                self._heard(self, answer)
        except Garbled:
            self.end()

    def process_exited(self) -> None:
        self.ended.set()
        self._lost(self)
        if self._transport is not None:
            self._transport.close()

    def end(self) -> None:
        if self._transport is not None and self._transport.get_returncode() is None:
            end_group(self._transport.get_pid())
