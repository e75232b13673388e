"""Calls of scripts, made by a few jailed worker processes: one lane for each script, calls of one lane together.

A call that ends its session (too long, too much memory, a crash) takes those along that are made with it; so these are
made again, one by one, which costs a cut-off less for each halving than looking for it by halves. That is harmless:
calls change nothing. What a call is refused for is what it is refused for in a session of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sysconfig
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Self

import pydantic_monty as monty

from overture.model.errors import Overloaded, OvertureError
from overture.model.script import Call, Said
from overture.sandbox import answering
from overture.sandbox.lane import Lane, Quarantine
from overture.sandbox.session import GRACE, Apart, Session, Unavailable

QUEUE = 20_000  # calls that stand in line; with more, who asks waits
_IN_A_ROW = 8  # batches of one lane before the next lane's turn
_LANES = 1_000  # that are remembered


class Lanes:
    """Makes calls of scripts in ``workers`` processes, which begin with the first call. Any thread may ask.

    ``timeout_ms``: of scripts that set none. ``strikes`` cut-offs in a row quarantine a script for ``pause`` seconds.
    """

    def __init__(self, workers: int = 2, timeout_ms: int = 50, *, strikes: int = 5, pause: float = 60.0) -> None:
        self._workers = workers
        self._timeout_ms = timeout_ms
        self._strikes = strikes
        self._pause = pause
        self._changed = threading.Condition()
        self._lanes: dict[str, Lane] = {}
        self._ready: deque[Lane] = deque()
        self._waiting: deque[_Job] = deque()
        self._queued = 0
        self.closing = False
        self._threads: list[_Worker] = []
        self._pool: monty.Monty | None = None

    async def run(self, calls: Sequence[Call]) -> list[Said]:
        """The answers, in the order of the calls. Raises Overloaded where no worker process can be had."""
        return await asyncio.wrap_future(self._submit(calls)) if calls else []

    def run_now(self, calls: Sequence[Call]) -> list[Said]:
        """As `run`, for those who wait. Not to be called from a loop's thread that must go on."""
        return self._submit(calls).result() if calls else []

    def quarantined(self) -> list[Quarantine]:
        """The scripts that are left alone now."""
        now = time.monotonic()
        with self._changed:
            return [left for lane in self._lanes.values() if (left := lane.quarantine(now)) is not None]

    def close(self) -> None:
        """End the workers, within a second; who still waits for an answer gets Overloaded."""
        with self._changed:
            self.closing = True
            self._changed.notify_all()
            left = {job for lane in self._lanes.values() for job, _ in lane.calls} | set(self._waiting)
            for lane in self._lanes.values():
                lane.calls.clear()
        for job in left:
            job.fail(_gone("The server is about to stop."))
        deadline = time.monotonic() + 0.5
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        for thread in self._threads:
            thread.kill()
            thread.join(0.4)
        if self._pool is not None:
            self._pool.__exit__(None, None, None)
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _submit(self, calls: Sequence[Call]) -> Future[list[Said]]:
        job = _Job(calls)
        with self._changed:
            if self.closing:
                raise _gone("The server is about to stop.")
            self._begin()
            if self._queued + len(calls) > QUEUE and self._queued:
                self._waiting.append(job)
            else:
                self._admit(job)
        return job.future

    def _begin(self) -> None:
        if self._pool is None:
            self._pool = monty.Monty(
                binary_path=launcher(),
                min_processes=0,  # each begins in the thread that uses it: it ends when that does
                max_processes=self._workers,
                checkout_timeout=10.0,
                feed_duration_limit_grace=GRACE,
                turn_duration_limit_grace=GRACE,
            )
            self._pool.__enter__()
            self._threads = [_Worker(self, self._pool, n) for n in range(self._workers)]
            for thread in self._threads:
                thread.start()

    def _admit(self, job: _Job) -> None:
        for index, call in enumerate(job.calls):
            lane = self._lanes.get(call.script.id)
            if lane is None:
                lane = self._lane(call)
            lane.calls.append((job, index))
            if not lane.queued:
                lane.queued = True
                self._ready.append(lane)
        self._queued += len(job.calls)
        self._changed.notify(min(len(self._ready) + len(job.calls) // 64, self._workers))

    def _lane(self, call: Call) -> Lane:
        if len(self._lanes) >= _LANES:
            now = time.monotonic()
            for id in [id for id, lane in self._lanes.items() if lane.forgettable(now)][: _LANES // 10]:
                del self._lanes[id]
        script = call.script
        lane = Lane(script, script.timeout_ms or self._timeout_ms, self._strikes, self._pause)
        self._lanes[script.id] = lane
        return lane

    def _take(self, own: Lane | None) -> tuple[Lane, list[tuple[_Job, int]]] | None:
        """The next batch, of the lane that this worker has a session with if it has any. None: it is over."""
        with self._changed:
            while not self._ready and not self.closing:
                self._changed.wait()
            if self.closing:
                return None
            if own is not None and own.queued:
                self._ready.remove(own)
                lane = own
            else:
                lane = self._ready.popleft()
            batch = lane.batch(time.monotonic())
            lane.queued = bool(lane.calls)
            if lane.queued:
                self._ready.append(lane)
                self._changed.notify()
            self._queued -= len(batch)
            while self._waiting and self._queued + len(self._waiting[0].calls) <= QUEUE:
                self._admit(self._waiting.popleft())
            if not self._queued and self._waiting:
                self._admit(self._waiting.popleft())
            return lane, batch


class _Job:
    """Calls that are asked for together."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = calls
        self.future: Future[list[Said]] = Future()
        self._said: list[Said | None] = [None] * len(calls)
        self._missing = len(calls)
        self._lock = threading.Lock()

    def answer(self, index: int, said: Said) -> None:
        with self._lock:
            self._said[index] = said
            self._missing -= 1
            over = not self._missing
        if over:
            with contextlib.suppress(Exception):  # nobody waits any more
                self.future.set_result([said for said in self._said if said is not None])

    def fail(self, error: Exception) -> None:
        with contextlib.suppress(Exception):
            self.future.set_exception(error)


class _Worker(threading.Thread):
    """One session at a time; the process under it is the pool's."""

    def __init__(self, lanes: Lanes, pool: monty.Monty, n: int) -> None:
        super().__init__(name=f"scripts-{n}", daemon=True)
        self._of = lanes
        self._pool = pool
        self._session: Session | None = None

    def run(self) -> None:
        own: Lane | None = None
        streak = 0
        while (taken := self._of._take(own if streak < _IN_A_ROW else None)) is not None:  # pyright: ignore[reportPrivateUsage]
            lane, batch = taken
            streak = streak + 1 if lane is own else 1
            own = lane
            self._make(lane, batch)
        if self._session is not None:
            self._session.close()

    def kill(self) -> None:
        """End what it is at, from another thread."""
        pid = self._session.pid if self._session is not None else None
        if self.is_alive() and pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _make(self, lane: Lane, batch: Sequence[tuple[_Job, int]]) -> None:
        batch = [(job, index) for job, index in batch if not job.future.cancelled()]
        try:
            for (job, index), said in zip(batch, self._answers(lane, [j.calls[i] for j, i in batch]), strict=True):
                job.answer(index, said)
        except Exception as error:
            for job in {job for job, _ in batch}:
                job.fail(_gone("No process can be had that runs scripts.") if isinstance(error, Unavailable) else error)

    def _answers(self, lane: Lane, calls: Sequence[Call]) -> list[Said]:
        if lane.problem is not None:
            return [lane.problem] * len(calls)
        if lane.quarantine(time.monotonic()) is not None:
            return [answering.quarantined(lane.script)] * len(calls)
        session = self._session
        if session is None or session.script.id != lane.script.id:
            if session is not None:
                session.close()
            assert lane.manner is not None
            self._session = session = Session(self._pool, lane.script, lane.manner, lane.timeout_ms)
        if len(calls) == 1:
            return [self._one(lane, session, calls[0])]
        return self._several(lane, session, calls)

    def _several(self, lane: Lane, session: Session, calls: Sequence[Call]) -> list[Said]:
        began = time.perf_counter()
        try:
            texts = session.several(calls)
        except Apart as apart:
            lane.apart(apart.instants)
            return [self._one(lane, session, call) for call in calls]
        except monty.MontyError:
            self._go_on()
            lane.slower()
            return [self._one(lane, session, call) for call in calls]
        lane.took(time.perf_counter() - began, len(calls))
        lane.went_well()
        return [
            self._one(lane, session, call) if text is None else answering.read(lane.script, text)
            for call, text in zip(calls, texts, strict=True)
        ]

    def _one(self, lane: Lane, session: Session, call: Call) -> Said:
        now = time.monotonic()
        if lane.quarantine(now) is not None:
            return answering.quarantined(lane.script)
        fresh = session.fresh
        said = session.one(call)
        # Not by what earlier calls left of time and memory, nor because the machine was busy once, or a process killed.
        if said.code in answering.CUT_OFF and (not fresh or not lane.struck):
            self._go_on()
            said = session.one(call)
        self._go_on()
        if said.code in answering.CUT_OFF:
            lane.strike(said, time.monotonic())
        else:
            lane.went_well()
            lane.took(time.monotonic() - now, 1)
        return said

    def _go_on(self) -> None:
        """Nothing that was cut off by the end of everything is the script's doing, or tried again."""
        if self._of.closing:
            raise Unavailable("closing")


def launcher() -> Path:
    """The command that becomes the interpreter in the jail. Raises OvertureError where it is not installed."""
    for scheme in (sysconfig.get_default_scheme(), f"{os.name}_user"):
        try:
            found = Path(sysconfig.get_path("scripts", scheme)) / "overture-jail"
        except KeyError:
            continue
        if found.is_file() and found.with_name("monty").is_file():
            return found
    message = "The programs that run scripts are not installed."
    raise OvertureError("script.unavailable", message, "Install overture again, with pip.")


def _gone(sentence: str) -> Overloaded:
    return Overloaded("script.unavailable", sentence, retry_after=1, status=503)
