"""Plugin code that keeps the process to itself is interrupted: everything else waits for it meanwhile.

While plugin code runs in the main thread a timer ticks; where one call has seen too many ticks, the handler of the
timer's signal raises in the midst of it. Ticks are counted, not time: what passes while the whole machine stands still
is nobody's fault, and comes as one tick. What is imported for the first time may take longer: half a module would be
of no use to anyone. Code that does not return to the interpreter cannot be interrupted.
"""

from __future__ import annotations

import atexit
import math
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from threading import get_ident
from types import FrameType
from typing import Any, TypeVar

from overture.model.errors import PluginFailed

T = TypeVar("T")

TICK = 0.01  # seconds
AGAIN = 2  # ticks until what went on nevertheless is interrupted again
IMPORTING = 1000  # ticks that one call may import modules for, besides
IDLE = 20  # ticks without a plugin after which the timer stops
_MAIN = threading.main_thread().ident


class Interrupted(BaseException):
    """Raised in plugin code; no Exception, so that it goes past what handles errors of all kinds."""


class Blocked(PluginFailed):
    """``plugin.blocked``: a plugin kept the process to itself and was interrupted."""

    def __init__(self, name: str, seconds: float, where: str) -> None:
        lasted = f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"
        super().__init__("plugin.blocked", f"{name} kept the process to itself for {lasted}{where}.")


class _Call:
    __slots__ = ("imports", "left", "outer", "times", "where")

    def __init__(self, left: int, imports: int, outer: _Call | None) -> None:
        self.left = left
        self.imports = imports
        self.outer = outer
        self.times = 0  # that it was interrupted
        self.where = ""


_current: _Call | None = None
_ticking = False
_idle = 0


def bounded(name: str, seconds: float, fn: Callable[..., T], *args: Any, imports: int = IMPORTING) -> T:
    """What ``fn(*args)``, code of a plugin, answers or raises; `Blocked` where it has not ended after ``seconds``.

    For synchronous calls in the main thread; elsewhere it is an ordinary call. ``name`` is the subject of the error's
    sentence (``"The scorer churn"``); ``imports``: ticks besides for what it imports. The least time that
    can be told is two ticks, 20 ms.
    """
    global _current
    if get_ident() != _MAIN or not (_ticking or _start()):
        return fn(*args)
    call = _current = _Call(math.ceil(seconds / TICK) + 1, imports, _current)
    try:
        answer = _plainly(fn, args)
    except BaseException:
        if call.times:
            raise Blocked(name, seconds, call.where) from None
        raise
    finally:
        _current = call.outer
        if call.times > 1 and sys.gettrace() is _untraced:
            sys.settrace(None)
    if call.times:  # it caught what interrupted it, and came to an end nevertheless
        raise Blocked(name, seconds, call.where)
    return answer


def outside(fn: Callable[..., T], *args: Any) -> T:
    """What ``fn(*args)``, code of ours that a plugin calls, answers. It is not interrupted, its time not counted."""
    global _current
    if get_ident() != _MAIN:
        return fn(*args)
    held, _current = _current, None
    try:
        return fn(*args)
    finally:
        _current = held


def inside() -> bool:
    """Whether plugin code has the word in the main thread, asked from there."""
    return _current is not None and get_ident() == _MAIN


def _plainly(fn: Callable[..., T], args: tuple[Any, ...]) -> T:
    return fn(*args)


def _start() -> bool:
    """False where there is no such timer, or somebody else uses it."""
    global _ticking, _idle
    if not hasattr(signal, "setitimer"):
        return False
    if signal.getsignal(signal.SIGALRM) not in (_tick, signal.SIG_DFL, signal.SIG_IGN):
        return False
    signal.signal(signal.SIGALRM, _tick)
    signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
    _ticking, _idle = True, 0
    return True


@atexit.register  # the interpreter takes its handlers away at its end: then a tick would kill
def _stop() -> None:
    global _ticking
    if _ticking:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _ticking = False


def _tick(_: int, frame: FrameType | None) -> None:
    global _idle
    call = _current
    if call is None:
        _idle += 1
        if _idle >= IDLE:
            _stop()
        return
    _idle = 0
    late = False
    importing = frame is not None and _importing(frame)
    while call is not None:
        if importing and call.imports > 0:
            call.imports -= 1
        else:
            call.left -= 1
        if call.left <= 0 and frame is not None and frame.f_code not in _OURS:
            late, call.left = True, AGAIN
            call.times += 1
            if call.times == 1:
                call.where = _told(frame)
            else:
                _insist(frame, call.times)
        call = call.outer
    if late:
        raise Interrupted


def _importing(frame: FrameType) -> bool:
    inner: FrameType | None = frame
    while inner is not None and inner.f_code is not _plainly.__code__:
        if inner.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        inner = inner.f_back
    return False


def _insist(frame: FrameType, times: int) -> None:
    """For what catches all that is raised in it and goes on: raise once more some lines later, where it does not catch.

    Each time some other number of lines, as nobody knows which of them are within a ``try``.
    """
    if sys.gettrace() not in (None, _untraced):  # somebody looks for an error, or what is covered
        return
    left = times % 8

    def trace(_: FrameType, event: str, __: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise Interrupted
        return trace

    inner: FrameType | None = frame
    while inner is not None and inner.f_code is not _plainly.__code__:
        inner.f_trace = trace
        inner = inner.f_back
    sys.settrace(_untraced)  # for the frames to come; without one, none is traced


def _untraced(*_: Any) -> None:
    return None


_OURS = frozenset(
    {bounded.__code__, outside.__code__, _tick.__code__}
)  # between plugin code and its caller: too late to raise


def _told(frame: FrameType) -> str:
    code = frame.f_code
    if code is _plainly.__code__:  # nothing of it is Python
        return ""
    return f", in {code.co_qualname} ({Path(code.co_filename).name}, line {frame.f_lineno})"
