"""One worker process's session with one script: defined once, called many times, thrown away when in doubt."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import pydantic_monty as monty

from overture.model.script import Call, Said, Script
from overture.sandbox import answering
from overture.sandbox.manner import PRELUDE, Manner, plain

CALLS = 5_000  # of one session: it grows with each, and more where the source is read anew for it
GRACE = 0.05  # seconds after which a worker is killed that does not end by itself
_ASKS = 1_000  # of one session for clock, randomness and files; the calls that it makes together may ask
_ASKS_TOGETHER = 200  # so often
_PRINTED = 64 << 10  # bytes
_STARTS = 3  # of a worker process, before there is something wrong with the machine


class Unavailable(Exception):
    """No worker process can be had. It is not the script's doing."""


class Apart(Exception):
    """These calls cannot be made together: they asked what differs from one to the other.

    ``instants``: those of one instant can be.
    """

    def __init__(self, instants: bool) -> None:
        super().__init__()
        self.instants = instants


class _Host:
    """Answers what a session asks for: the instant and the randomness of the call that is being made."""

    def __init__(self) -> None:
        self.call: Call | None = None
        self.clock = self.random = False
        self.asked = self.total = 0

    def begin(self, call: Call) -> None:
        self.call, self.clock, self.random, self.asked = call, False, False, 0

    @property
    def often(self) -> bool:
        return self.asked > _ASKS_TOGETHER

    def __call__(self, *, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], **_: Any) -> Any:
        self.asked += 1
        self.total += 1
        call = self.call
        if self.often:
            raise RuntimeError("what is outside of the script was asked too often")
        if call is None:
            return monty.NOT_HANDLED
        if name == "os.urandom":
            self.random = True
            size = args[0] if args and isinstance(args[0], int) else 0
            return hashlib.shake_256(f"{call.seed}\0{self.asked}".encode()).digest(min(size, 4096))
        if name not in ("datetime.now", "date.today", "time.time"):
            return monty.NOT_HANDLED
        self.clock = True
        now = datetime.fromtimestamp(call.now / 1000, UTC)
        if name == "date.today":
            return date(now.year, now.month, now.day)
        if name == "time.time":
            return call.now / 1000
        zone = args[0] if args else None
        return now.astimezone(zone) if zone is not None else now.replace(tzinfo=None)


class Session:
    """Not to be used by two threads at once, and by no other script ever."""

    def __init__(self, pool: monty.Monty, script: Script, manner: Manner, timeout_ms: int) -> None:
        self.script = script
        self.pid: int | None = None
        self._pool = pool
        self._manner = manner
        self._timeout_ms = timeout_ms
        self._host = _Host()
        self._session: monty.MontySession | None = None
        self._calls = 0
        grows = 2048 + 8 * len(manner.text)  # bytes with each reading, more than was measured
        self._most = CALLS if manner.made else max(answering.MEMORY // 2 // grows, 1)

    @property
    def fresh(self) -> bool:
        """Whether no call was made in it."""
        return self._calls == 0

    def several(self, calls: Sequence[Call]) -> list[str | None]:
        """What each answers, as it said it; None for one that failed. Raises MontyError, Unavailable, Apart."""
        try:
            answers = self._feed("several(items)", {"items": [[call.given, call.seed] for call in calls]}, calls)
        except monty.MontyError:
            self.close()
            raise
        host = self._host
        if host.random or host.often:
            raise Apart(instants=False)
        if host.clock and any(call.now != calls[0].now for call in calls):
            raise Apart(instants=True)
        if not isinstance(answers, list) or len(answers) != len(calls):  # pyright: ignore[reportUnknownArgumentType]
            return [None] * len(calls)
        return answers  # pyright: ignore[reportUnknownVariableType]

    def one(self, call: Call) -> Said:
        """What one call answers, or why it does not. Raises Unavailable."""
        fresh = self.fresh
        try:
            answer = self._feed("one(given, seed)", {"given": call.given, "seed": call.seed}, (call,))
        except monty.MontyError as error:
            said = answering.failure(self.script, error, self._manner.moved, self._timeout_ms)
            if said.code in answering.CUT_OFF or self._host.often:
                self.close()
        else:
            said = answering.read(self.script, answer)
        if self._host.often and not fresh:
            # How often it may ask must not depend on what was asked in earlier calls.
            self.close()
            return self.one(call)
        return said

    def close(self) -> None:
        """The next call has a new session."""
        session, self._session, self._calls, self.pid = self._session, None, 0, None
        if session is not None:
            with contextlib.suppress(Exception):
                session.__exit__(None, None, None)

    def _feed(self, code: str, inputs: dict[str, Any], calls: Sequence[Call]) -> Any:
        if self._calls + len(calls) > self._most or self._host.total > _ASKS // 2 or self._manner.alone:
            self.close()
        if self._session is None:
            self._open()
        assert self._session is not None
        self._host.begin(calls[0])
        self._calls += len(calls)
        return self._run(self._session, code, inputs)

    def _open(self) -> None:
        self._host = _Host()
        session = self._begun()
        try:
            self._define(session)
        except BaseException:
            with contextlib.suppress(Exception):
                session.__exit__(None, None, None)
            raise
        self._session = session
        self.pid = session.worker_pid

    def _define(self, session: monty.MontySession) -> None:
        manner = self._manner
        inputs = {"text": manner.text, "once": manner.made, "seeds": manner.random, "decimals": manner.decimal}
        try:
            self._run(session, "define(text, once, seeds, decimals)", inputs)
        except (monty.MontySyntaxError, monty.MontyRuntimeError) as error:
            said = answering.failure(self.script, error, manner.moved, self._timeout_ms)
            if not manner.made or said.code in answering.CUT_OFF:
                raise
            # What is wrong is told of the source as its author wrote it.
            self._manner = plain(self.script.source)
            self._define(session)

    def _begun(self) -> monty.MontySession:
        """Where this fails no line of the script was read."""
        for remaining in reversed(range(_STARTS)):
            session = self._pool.checkout(
                script_name="script.py",
                limits={
                    "max_feed_duration_secs": self._timeout_ms / 1000,
                    "max_memory": answering.MEMORY,
                    "max_recursion_depth": 100,
                    "max_suspensions": _ASKS,
                    "max_total_sleep_secs": 0.0,
                },
                os_policy={"sleep": "zero", "random_start": "call_host", "datetime": "call_host"},
            )
            try:
                session.__enter__()
                self._run(session, PRELUDE, {})
            except (monty.MontyError, OSError, TimeoutError) as error:
                with contextlib.suppress(Exception):
                    session.__exit__(None, None, None)
                if not remaining:
                    raise Unavailable(str(error)[:300]) from error
                time.sleep(0.1)
            else:
                return session
        raise AssertionError

    def _run(self, session: monty.MontySession, code: str, inputs: dict[str, Any]) -> Any:
        return session.feed_run(
            code, inputs=inputs, print_callback=monty.CollectString(max_bytes=_PRINTED), os=self._host
        )
