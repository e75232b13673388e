"""Questions of a server: each is worked on in a process of its own, one at a time, and its answer is kept for as long
as nothing more was decided.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from overture.attribution.answer import Attribution, Said, Underway
from overture.attribution.question import Question, asked
from overture.attribution.run import Spec
from overture.model import Overloaded, Refused
from overture.model.environ import without_settings
from overture.state import keys
from overture.state.wire import Wire

log = logging.getLogger("overture.attribution")

PATIENCE = 20.0  # seconds that whoever asks waits; then they are told to ask again
LOOK = 0.25  # seconds between two looks at whether they still wait
ALONE = 60.0  # seconds that a question is worked on while nobody asks
AT_ONCE = 4  # questions that wait or are worked on
KEPT = 32  # answers
LINE = 16 << 20  # bytes of an answer

_said = msgspec.json.Decoder(Said).decode
Place = tuple[bytes, ...]


@dataclass(slots=True)
class _Kept:
    place: Place
    answer: Attribution | Refused
    owed: bool  # somebody was told to ask again, and gets it although more was decided meanwhile


@dataclass(slots=True)
class _Work:
    place: Place
    task: asyncio.Task[Attribution | Refused] | None = None
    facts: int = 0
    waiting: int = 0
    owed: bool = False
    alone: asyncio.TimerHandle | None = None


class Questions:
    """What the API does with questions."""

    def __init__(self, wire: Wire, store: str, data_dir: Path, partitions: int) -> None:
        """``store``: the URL that a process connects to."""
        self._wire = wire
        self._store = store
        self._data_dir = data_dir
        self._partitions = partitions
        self._turn = asyncio.Lock()
        self._works: dict[Question, _Work] = {}
        self._kept: OrderedDict[Question, _Kept] = OrderedDict()

    async def ask(self, question: Question, gone: Callable[[], bool]) -> Attribution | Underway:
        """The answer, or how far it is after `PATIENCE`. ``gone``: whether nobody waits any more.

        Raises Refused ``attribution.condition``, ``attribution.setting``, ``attribution.period``,
        ``attribution.failed`` (500), and what a single model refuses; Overloaded ``attribution.busy``;
        StoreUnavailable.
        """
        asked(question)
        place = await self._place()
        for each, kept in list(self._kept.items()):
            if kept.place != place and not kept.owed:
                del self._kept[each]
        for each in (question, replace(question, model="all")):
            if (kept := self._kept.get(each)) is not None:
                kept.owed = False
                return _only(kept.answer, question)
        work = self._works.get(question)
        if work is None:
            if len(self._works) >= AT_ONCE:
                raise Overloaded("attribution.busy", f"{AT_ONCE} questions are worked on already.", 5)
            work = self._works[question] = _Work(place)
            work.task = asyncio.create_task(self._work(question, work))
        assert work.task is not None
        return await self._wait(question, work, work.task, gone)

    async def _wait(
        self, question: Question, work: _Work, task: asyncio.Task[Attribution | Refused], gone: Callable[[], bool]
    ) -> Attribution | Underway:
        if work.alone is not None:
            work.alone.cancel()
            work.alone = None
        work.waiting += 1
        loop = asyncio.get_running_loop()
        until, alone = loop.time() + PATIENCE, 0.0
        try:
            while not task.done() and loop.time() < until and not gone():
                await asyncio.wait({task}, timeout=LOOK)
            if not task.done() and not gone():
                work.owed, alone = True, ALONE
        finally:
            work.waiting -= 1
            if not work.waiting and not task.done() and (alone or not work.owed):
                work.alone = loop.call_later(alone, self._leave, question, work, task)
        if not task.done():
            return Underway(work.facts)
        if (kept := self._kept.get(question)) is not None:
            kept.owed = False
        return _only(task.result(), question)

    def _leave(self, question: Question, work: _Work, task: asyncio.Task[Attribution | Refused]) -> None:
        """Nobody wants to know any more. Who asks from now on begins anew."""
        if self._works.get(question) is work:
            del self._works[question]
        task.cancel()

    async def close(self) -> None:
        """Stop what is worked on."""
        tasks = [work.task for work in self._works.values() if work.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _place(self) -> Place:
        """How far every partition is decided."""
        calls = (self._wire.call("GET", keys.checkpoint(p)) for p in range(self._partitions))
        return tuple(found or b"" for found in await asyncio.gather(*calls))

    async def _work(self, question: Question, work: _Work) -> Attribution | Refused:
        """What comes of it; why not, where nothing does."""
        try:
            async with self._turn:
                answer = await self._run(question, work)
            if isinstance(answer, Attribution) or work.owed:
                self._kept[question] = _Kept(work.place, answer, work.owed)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return answer
        finally:
            if self._works.get(question) is work:
                del self._works[question]

    async def _run(self, question: Question, work: _Work) -> Attribution | Refused:
        spec = Spec(self._store, str(self._data_dir / "archive"), self._partitions, question)
        # -P: modules lying about in the working directory are not its code.
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "overture.attribution", env=self._environ(), limit=LINE,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        complaint = asyncio.create_task(process.stderr.read())
        said = Said()
        try:
            process.stdin.write(msgspec.json.encode(spec) + b"\n")
            while line := await process.stdout.readline():
                said = _said(line)
                work.facts = said.facts
            code = await process.wait()
            if said.answer is None and said.failure is None:
                words = (await complaint).decode("utf-8", "replace").strip()[-2000:]
                log.error("The process of a question ended with %d: %s", code, words)
        finally:
            complaint.cancel()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if (failure := said.failure) is not None:
            status = 500 if failure.code == "attribution.failed" else 503 if failure.code.startswith("store.") else 400
            return Refused(failure.code, failure.message, failure.hint, status=status)
        if said.answer is None:
            return Refused("attribution.failed", "Its process ended early.", "See the server's log.", status=500)
        return said.answer

    def _environ(self) -> dict[str, str]:
        return {**without_settings(), "SQLITE_TMPDIR": str(self._data_dir)}


def _only(answer: Attribution | Refused, question: Question) -> Attribution:
    """What was asked for, of an answer with all models. Raises why there is none."""
    if isinstance(answer, Refused):
        raise answer
    if (refusal := answer.refused.get(question.model)) is not None:
        raise Refused(refusal.code, refusal.message, refusal.hint, status=422)
    if question == answer.question:
        return answer
    rows = [replace(row, models={question.model: row.models[question.model]}) for row in answer.rows]
    return replace(answer, question=question, rows=rows, refused={})
