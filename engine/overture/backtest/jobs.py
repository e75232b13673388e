"""Backtests as jobs of a server: they wait, run one at a time in a process of their own, and are kept for a while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import msgspec

from overture.backtest.candidates import candidates
from overture.backtest.job import Job, Request, find, hold, prune
from overture.backtest.period import bound
from overture.backtest.run import Spec
from overture.backtest.sides import program, read_versions
from overture.model import Overloaded, Refused, clock
from overture.model.environ import without_settings
from overture.model.pure import NO_PLUGINS, Pure
from overture.state.registry import Registry

log = logging.getLogger("overture.backtest")

AT_ONCE = 8  # jobs of this process that wait or run
PAUSE = 0.3  # seconds between two looks at whether another process's job has ended
PATIENCE = 5.0  # seconds that a job gets to end when it is cancelled


class Jobs:
    """What the API does with backtests. One runs at a time, whatever the number of processes on the data directory."""

    def __init__(
        self,
        data_dir: Path,
        registry: Registry,
        store: str,
        partitions: int,
        channels: Collection[str],
        allowed: Collection[str] | None = None,
        pure: Pure = NO_PLUGINS,
        script_timeout_ms: int = 50,
    ) -> None:
        """``store``: the URL that a job's process connects to; ``channels``: the installed ones; ``allowed``: the
        distributions whose plugins a job may import, None: all; ``pure``: what these add to the language of rulesets.
        """
        self._allowed = None if allowed is None else sorted(allowed)
        self._script_timeout_ms = script_timeout_ms
        self._pure = pure
        self.directory = data_dir / "backtests"
        self._archive = data_dir / "archive"
        self._registry = registry
        self._store = store
        self._partitions = partitions
        self._channels = channels
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._starting = 0  # that will be tasks, unless they are refused

    async def start(self, name: str, text: str, since: str, until: str, baseline: Literal["active", "recorded"]) -> Job:
        """Have candidates compared. ``text``: a document, or several separated by ``---``, the first one called
        ``name``. ``since`` and ``until``: an instant, a duration, or empty.

        Raises RulesetInvalid (also where the set that would be active does not fit together), Refused
        ``ruleset.name_differs``, ``backtest.period``, ``backtest.twice``, ``backtest.not_kept``, Overloaded
        ``backtest.busy``.
        """
        if len(self._tasks) + self._starting >= AT_ONCE:
            raise Overloaded("backtest.busy", f"{AT_ONCE} backtests wait or run already.", 30)
        self._starting += 1
        try:
            return await self._start(name, text, since, until, baseline)
        finally:
            self._starting -= 1

    async def _start(
        self, name: str, text: str, since: str, until: str, baseline: Literal["active", "recorded"]
    ) -> Job:
        for given, what in ((since, "since"), (until, "until")):
            if given:
                bound(given, what)
        checked = await asyncio.to_thread(candidates, name, text, self._pure)
        version = await self._registry.version()
        by, texts, _ = await read_versions(self._registry, {version})
        rulesets = [ruleset for ruleset, _ in checked.values()]
        await asyncio.to_thread(program, version, by[version], texts, rulesets, self._channels, pure=self._pure)
        now = clock.now()
        id = f"bt-{now:011x}{secrets.token_hex(6)}"
        revisions = {ruleset.name: ruleset.revision for ruleset in rulesets}
        request = Request(id, now, revisions, version, since, until, baseline)
        try:
            job, held = await asyncio.to_thread(self._make, request)
        except OSError as error:
            log.error("A backtest cannot be kept: %s", error)
            raise Refused(
                "backtest.not_kept",
                f"The data directory does not take its files: {error.strerror or error}.",
                "It is full or cannot be written; `backtests` there is the place.",
                status=503,
            ) from error
        spec = Spec(
            directory=str(job.directory),
            store=self._store,
            archive=str(self._archive),
            partitions=self._partitions,
            version=version,
            candidates={name: document for name, (_, document) in checked.items()},
            since=since,
            until=until,
            baseline=baseline,
            allowed=self._allowed,
            script_timeout_ms=self._script_timeout_ms,
        )
        task = self._tasks[id] = asyncio.create_task(self._work(job, spec, held))
        task.add_done_callback(lambda _: self._tasks.pop(id))
        return job

    def find(self, id: str) -> Job:
        """Raises Refused ``backtest.unknown``."""
        job = find(self.directory, id)
        if job is None:
            raise Refused(
                "backtest.unknown",
                "There is no such backtest.",
                "Old ones are removed; ask again.",
                status=404,
            )
        return job

    async def remove(self, id: str) -> None:
        """Stop a job, wherever it waits or runs, and forget it. Raises Refused ``backtest.unknown``."""
        job = self.find(id)
        job.cancel()
        if task := self._tasks.get(id):
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while job.state() in ("waiting", "running"):
                    await asyncio.sleep(PAUSE / 10)
        await asyncio.to_thread(job.remove)

    async def close(self) -> None:
        """Stop this process's jobs; they count as failed."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _make(self, request: Request) -> tuple[Job, contextlib.ExitStack]:
        """The files of a new job, and its lock. Raises OSError: then nothing is left of it."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whoever removes old jobs would take one that is being made for one whose server vanished.
        with hold(self.directory / "making", wait=True):
            prune(self.directory, request.created_at)
            job = Job(self.directory / request.id)
            with contextlib.ExitStack() as held:
                try:
                    job.directory.mkdir(mode=0o700)
                    held.enter_context(hold(job.directory / "lock"))
                    job.write("request.json", msgspec.json.encode(request))
                except OSError:
                    job.remove()
                    raise
                return job, held.pop_all()

    async def _work(self, job: Job, spec: Spec, held: contextlib.ExitStack) -> None:
        """Wait for the turn, then for the process. The locks end with this, or with the server."""
        with held:
            while True:
                try:
                    held.enter_context(hold(self.directory / "turn"))
                    break
                except BlockingIOError:
                    if job.cancelled:
                        return
                    await asyncio.sleep(PAUSE)
            try:
                await self._run(job, spec)
            except Exception as error:
                log.exception("Backtest %s cannot be run", job.id)
                job.fail("backtest.failed", f"Its process cannot be run: {error}", "See the server's log.")

    async def _run(self, job: Job, spec: Spec) -> None:
        said = job.directory / "said"
        with said.open("wb") as output:
            # -P: modules lying about in the working directory are not its code.
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "overture.backtest",
                env=without_settings(), stdin=asyncio.subprocess.PIPE, stdout=output, stderr=output,
            )  # fmt: skip
        try:
            assert process.stdin is not None
            process.stdin.write(msgspec.json.encode(spec) + b"\n")
            code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if code and job.failure() is None and not job.cancelled:
            words = said.read_text("utf-8", "replace").strip()[-2000:]
            log.error("The process of backtest %s ended with %d: %s", job.id, code, words)
            job.fail("backtest.failed", f"Its process ended with {code}.", "See the server's log.")
