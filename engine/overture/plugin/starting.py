"""Code of plugins that runs when they are loaded, set up and opened: what goes wrong there costs that plugin alone."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from overture.model.errors import PluginFailed, describe
from overture.plugin.cutoff import Interrupted, bounded

T = TypeVar("T")

STARTING = 20.0  # seconds: what is large takes long to import from a cold disk


def started(what: str, seconds: float, fn: Callable[..., T], *args: Any) -> T:
    """What ``fn(*args)`` answers or raises: an Exception, or KeyboardInterrupt where somebody asked for that.

    `Blocked` where it has not ended after ``seconds``; ``what`` is the subject of sentences (``"Its import"``).
    """
    with _asked_to_end() as asked:
        return bounded(what, seconds, _contained, asked, what, fn, args, imports=0)


def _contained(asked: list[int], what: str, fn: Callable[..., T], args: tuple[Any, ...]) -> T:
    try:
        return fn(*args)
    except (Exception, Interrupted):
        raise
    except BaseException as error:
        if asked and isinstance(error, KeyboardInterrupt):
            raise
        raise PluginFailed("plugin.raised", f"{what} raised {describe(error)}.") from None


@contextmanager
def _asked_to_end() -> Generator[list[int]]:
    """The signals of Ctrl-C that come meanwhile, besides what they do: a plugin, too, can raise KeyboardInterrupt."""
    came: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield came
        return

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)
