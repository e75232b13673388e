"""The threads that a plugin asks for by `asyncio.to_thread` or ``run_in_executor(None, …)`` are its own.

Both end in the default executor of the loop, and that is one for everybody: who hangs in it stops all others, and holds
up the end of the process. `Executor` looks in the caller's context whose code is asking, and has the work done by the
`Threads` of that plugin, or by the server's own. All are daemons: none is waited for when the interpreter ends.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeVar

from overture.model.errors import PluginFailed
from overture.plugin.cutoff import inside, outside

T = TypeVar("T")

MOST = 16  # threads of one plugin
WAITING = 1000  # calls of one plugin for which none is free yet
IDLE = 30.0  # seconds after which a thread without work ends
STOPPING = 10.0  # seconds that the server's own work gets to end
LEAVING = 5.0  # seconds that threads which plugins make themselves get, once everything has stopped


class Threads:
    """At most ``most`` threads, begun as they are needed. What waits for one and is cancelled meanwhile is dropped."""

    def __init__(self, most: int = MOST, waiting: float = WAITING, name: str = "overture-plugin") -> None:
        self._most = most
        self._room = waiting
        self._name = name
        self._changed = threading.Condition()
        self._queue: dict[Future[Any], Callable[[], Any]] = {}
        self._count = 0
        self._idle = 0
        self._closed = False

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Raises PluginFailed ``plugin.raised`` where too many wait already, RuntimeError once it is closed."""
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("The server has stopped: nothing new is begun.")
            if len(self._queue) >= self._room:
                told = f"All {self._most} threads of the plugin are taken, and {self._room:g} calls wait for one."
                raise PluginFailed("plugin.raised", told)
            if self._count < self._most and self._idle <= len(self._queue):
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
                self._count += 1
            self._queue[future] = work
            self._changed.notify()
        future.add_done_callback(self._drop)
        return future

    def close(self, patience: float) -> None:
        """Take nothing more, and wait at most ``patience`` seconds until all is done."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._count, patience)

    def _drop(self, future: Future[Any]) -> None:
        with self._changed:
            self._queue.pop(future, None)

    def _work(self) -> None:
        _asking.set(self)  # for what is called back from here in the loop
        while taken := self._next():
            _do(*taken)
            del taken  # nothing is held on to while there is nothing to do

    def _next(self) -> tuple[Future[Any], Callable[[], Any]] | None:
        with self._changed:
            while not self._queue:
                self._idle += 1
                heard = not self._closed and self._changed.wait(IDLE)
                self._idle -= 1
                if not heard and not self._queue:
                    self._count -= 1
                    self._changed.notify_all()
                    return None
            future = next(iter(self._queue))
            return future, self._queue.pop(future)


_asking: ContextVar[Threads | None] = ContextVar("overture_threads", default=None)
UNNAMED = Threads()  # for plugin code of which is not known whose it is


class Executor(ThreadPoolExecutor):
    """The default executor of the server's loop, which takes no other class; of its base nothing is used."""

    def __init__(self) -> None:
        super().__init__()
        self._own = Threads(min(32, (os.cpu_count() or 1) + 4), math.inf, "overture")  # as many as asyncio would have

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """As `Threads.submit`."""
        threads = _asking.get() or (UNNAMED if inside() else self._own)
        work = partial(fn, *args, **kwargs)
        return outside(lambda: threads.submit(work))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Waits for the server's own work, at most `STOPPING` seconds, and for none of any plugin."""
        self._own.close(STOPPING if wait else 0.0)


def asked_by(threads: Threads | None, fn: Callable[..., T], *args: Any) -> T:
    """What ``fn(*args)`` answers. Threads for it and the tasks it starts are taken from ``threads``; None: our own."""
    token = _asking.set(threads)
    try:
        return fn(*args)
    finally:
        _asking.reset(token)


def leave(code: int) -> None:
    """Everything has stopped: no thread that a plugin made by itself holds up the end of the process for long. It ends
    with ``code`` where one tries to.
    """

    def end() -> None:
        time.sleep(LEAVING)
        os._exit(code)

    threading.Thread(target=end, name="overture-leaving", daemon=True).start()


def _do(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        answer = work()
    except BaseException as error:
        future.set_exception(error)
        del future  # which the error's own frames would keep
    else:
        future.set_result(answer)
