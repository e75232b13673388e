"""What is wrong in the source of a script: syntax, and types against what its ruleset declares.

The checker reads the author's text, so it works in a jailed worker process, as the script will. There the source is
also run, as far as it says something outside of functions: what fails there fails at every call.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import msgspec
import pydantic_monty as monty

from overture.model.errors import Overloaded
from overture.model.script import Problem
from overture.sandbox.answering import MEMORY, told
from overture.sandbox.lanes import launcher
from overture.sandbox.manner import manner

SECONDS = 5.0  # that one check may take
MOST = 50  # problems that are told
_RUNNING = 0.05  # seconds for what is said outside of functions
_STARTS = 3


class _Place(msgspec.Struct):
    row: int = 1
    column: int = 1


class _Found(msgspec.Struct):
    message: str
    code: str | None = None
    severity: str = "error"
    location: _Place | None = None


_found = msgspec.json.Decoder(list[_Found]).decode


class Checker:
    """A `model.script.Check`, over one worker process that begins with the first check. Any thread may call it."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._pool: monty.Monty | None = None
        self._thread = ThreadPoolExecutor(1, "scripts-check")  # the worker process ends with what began it

    def __call__(self, source: str, stub: str = "") -> list[Problem]:
        """``stub`` declares, in Python, the types that the source names. It takes up to ``seconds``, mostly some 0.02.

        Raises Overloaded where no worker process can be had.
        """
        try:
            manner(source)
        except ValueError as error:
            return [_problem(str(error))]
        return self._thread.submit(self._check, source, stub).result()

    def close(self) -> None:
        """End the worker process."""
        self._thread.shutdown()
        if self._pool is not None:
            self._pool.__exit__(None, None, None)
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _check(self, source: str, stub: str) -> list[Problem]:
        session = self._session(stub)
        try:
            session.feed_run(source, print_callback=_unheard)
        except monty.MontyTypingError as error:
            return _read(str(error))
        except monty.MontyCrashedError as error:
            how = "takes too long" if error.timed_out else "ends the process that does it"
            return [_problem(f"To check the source {how}.")]
        except monty.MontyError as error:
            frames = error.traceback() if isinstance(error, monty.MontyRuntimeError | monty.MontySyntaxError) else []
            last = frames[-1] if frames else None
            return [_problem(_said(error), last.line if last else 1, last.column if last else 1)]
        finally:
            with contextlib.suppress(Exception):
                session.__exit__(None, None, None)
        return []

    def _session(self, stub: str) -> monty.MontySession:
        """One that has answered already, so that what happens then is about the source."""
        for _ in range(_STARTS):
            if self._pool is None:
                self._pool = monty.Monty(
                    binary_path=launcher(),
                    min_processes=0,
                    max_processes=1,
                    request_timeout=self._seconds,
                    feed_duration_limit_grace=self._seconds,  # that of the run, which comes after the check
                )
                self._pool.__enter__()
            session = self._pool.checkout(
                script_name="script.py",
                limits={"max_feed_duration_secs": _RUNNING, "max_memory": MEMORY, "max_recursion_depth": 100},
                type_check=True,
                type_check_stubs=stub or None,
                type_check_format="json",
                os_policy={"sleep": "zero"},
            )
            try:
                session.__enter__()
                session.feed_run("None", skip_type_check=True)
            except (monty.MontyError, OSError, TimeoutError):
                with contextlib.suppress(Exception):
                    session.__exit__(None, None, None)
            else:
                return session
        raise Overloaded("script.unavailable", "No process can be had that checks scripts.", status=503)


def _unheard(stream: str, text: str) -> None:
    """What it prints."""


def _read(text: str) -> list[Problem]:
    try:
        found = _found(text)
    except (msgspec.DecodeError, RecursionError):
        return [_problem("The types do not fit.")]
    problems: list[Problem] = []
    for each in found[:MOST]:
        if each.severity == "error":
            place = each.location or _Place()
            code = "script.syntax" if each.code == "invalid-syntax" else "script.types"
            problems.append(_problem(each.message, place.row, place.column, code))
    return problems


def _said(error: monty.MontyError) -> str:
    sentence = told(error)
    if sentence.startswith("TimeoutError"):
        return f"What is said outside of functions takes longer than {_RUNNING * 1000:.0f} ms."
    sentence = sentence.removeprefix("NotImplementedError: ").removeprefix("SyntaxError: ")
    return sentence.replace("The monty syntax parser does", "Scripts do")


def _problem(message: str, line: int = 1, column: int = 1, code: str = "script.syntax") -> Problem:
    text = "".join(ch if ch.isprintable() else " " for ch in message[:300])
    return Problem(code, max(line, 1), max(column, 1), text)
