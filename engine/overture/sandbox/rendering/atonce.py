"""The renderer for who can wait: tests, the command line, processes without an event loop."""

from __future__ import annotations

import atexit
import os
import selectors
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from overture.model.pages import Fault, Page, Piece, Rendered
from overture.sandbox.rendering.spawning import COMMAND, ENVIRONMENT, PATIENCE, end_group
from overture.sandbox.rendering.wire import (
    TOO_SLOW,
    Answer,
    Answers,
    Ask,
    Check,
    Died,
    Garbled,
    Render,
    crashed,
    faults,
    frame,
    gone,
    rendered,
    was_too_slow,
)

_CHUNK = 65536


class RendererNow:
    """One question after the other; from any thread. The process is started when it is first needed."""

    def __init__(self, locale: str = "en") -> None:
        """``locale``: for contacts that have none."""
        self._locale = locale
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def render(self, page: Page, context: Mapping[str, Any]) -> Rendered:
        """Raises RenderRefused; Overloaded ``template.no_renderer``."""
        return rendered(self._ask(Render(page, context, self._locale)))

    def check(self, pieces: Sequence[Piece]) -> Sequence[Fault | None]:
        """See `Engine`."""
        found: list[Fault | None] = []
        for piece in pieces:
            found += faults(self._ask(Check([piece])), 1)
        return found

    def close(self) -> None:
        with self._turn:
            self._end()

    def _ask(self, ask: Ask) -> Answer:
        answer = self._asked(ask)
        return self._asked(ask) if was_too_slow(answer) else answer

    def _asked(self, ask: Ask) -> Answer:
        with self._turn:
            try:
                answer = self._exchange(frame(ask))
            except (OSError, Garbled) as error:
                self._end()
                raise gone(type(error).__name__) from error
            if isinstance(answer, Died):
                return crashed(ask, answer.signal)
            return answer

    def _exchange(self, request: bytes) -> Answer:
        if self._process is None or self._process.poll() is not None:
            self._end()
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(
                COMMAND, bufsize=0, stdin=pipe, stdout=pipe, env=ENVIRONMENT, start_new_session=True
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(request)
        answers, until = Answers(), time.monotonic() + PATIENCE
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ)
            while True:
                if not waiting.select(max(until - time.monotonic(), 0)):
                    self._end()
                    return Died(TOO_SLOW)
                data = os.read(process.stdout.fileno(), _CHUNK)
                if not data:
                    raise Garbled("it ended")
                for answer in answers.feed(data):
                    return answer

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                end_group(process.pid)
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


@cache
def renderer_now() -> RendererNow:
    """The one of this process."""
    made = RendererNow()
    atexit.register(made.close)
    return made
