"""The renderer: takes what is asked from standard input, one after the other, and answers on standard output.

What was imported and read stays in this process, which never sees a template: each share of the work is done by a copy
of it (a fork) that is locked in. One that dies is told as the answer to what it was at, and the next copy goes on.
"""

from __future__ import annotations

import gc
import os
import signal
import sys

from overture.model.errors import OvertureError
from overture.sandbox.jail import lock
from overture.sandbox.rendering import engine, locales
from overture.sandbox.rendering.wire import (
    BROKEN,
    LENGTH,
    MEMORY,
    MOMENT,
    RECYCLED,
    Answer,
    Ask,
    Check,
    Checked,
    Died,
    Done,
    Refusal,
    Render,
    asked,
    frame,
)

SHARE = 5_000  # that one copy does: what a library does not give back goes with it
IN, OUT, ERR = 0, 1, 2


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asked; with him this ends
    locales.prepare()
    engine.warm_up()
    gc.collect()
    gc.freeze()
    while True:
        copy = os.fork()
        if not copy:
            _copy()
        _, status = os.waitpid(copy, 0)
        ended = os.waitstatus_to_exitcode(status)
        if ended in (0, BROKEN):
            sys.exit(ended)
        if ended != RECYCLED:
            _write(Died(max(-ended, 0)))


def _copy() -> None:
    try:
        _lock_in()
    except BaseException:
        os._exit(BROKEN)
    for _ in range(SHARE):
        head = _read(LENGTH)
        body = _read(int.from_bytes(head, "big")) if head else b""
        if not body:
            os._exit(0)
        signal.setitimer(signal.ITIMER_PROF, MOMENT)
        answer = frame(_answer(asked(body)))
        signal.setitimer(signal.ITIMER_PROF, 0)
        _send(answer)
    os._exit(RECYCLED)


def _lock_in() -> None:
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends it, whatever it is at
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, ERR)  # what the engines print when they die is of no use to anybody
    lock(_mapped() + MEMORY)


def _mapped() -> int:
    """Bytes of address space that are taken already."""
    try:
        with open("/proc/self/statm") as told:
            return int(told.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _answer(ask: Ask) -> Answer:
    try:
        match ask:
            case Render(page, context, locale):
                return Done(engine.render(page, context, locale))
            case Check(pieces):
                return Checked([engine.check(piece) for piece in pieces])
    except OvertureError as error:
        return Refusal(error.code, error.message, error.hint)
    except Exception as error:
        what = f"The template {ask.page.name}" if isinstance(ask, Render) else "It"
        return Refusal("template.failed", f"{what} cannot be rendered: {type(error).__name__}.", "")


def _read(size: int) -> bytes:
    """Exactly so much and nothing of what comes behind it, which may be another copy's; empty at the end."""
    parts = bytearray()
    while len(parts) < size:
        got = os.read(IN, size - len(parts))
        if not got:
            return b""
        parts += got
    return bytes(parts)


def _write(answer: Answer) -> None:
    _send(frame(answer))


def _send(data: bytes) -> None:
    while data:
        data = data[os.write(OUT, data) :]


main()
