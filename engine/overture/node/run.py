"""Running one process: start in order, tell what is there, drain on a signal, stop in the opposite order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import web

from overture.deploy.rulesets import Rulesets
from overture.deploy.settling import Settling
from overture.match import available
from overture.model import OvertureError, Refused, StartupRefused
from overture.model.pure import Pure
from overture.node.apikeys import make_keys, require_strong_keys
from overture.node.configured import load_plugins
from overture.node.fastforward import load_clock
from overture.node.meta import settle
from overture.node.needed import require_usable
from overture.node.parts import Parts, assemble
from overture.plugin.steps import end_tasks, watch_tasks
from overture.plugin.threads import Executor
from overture.settings import Settings
from overture.state import sweeps
from overture.state.embedded import EmbeddedStore
from overture.state.outbox import list_by_contact
from overture.state.probe import probe, require
from overture.state.registry import Registry
from overture.state.wire import Wire
from overture.trial.files import documents, told, with_tests
from overture.web.app import make_app, make_runner

log = logging.getLogger("overture")

GRACE = 10.0  # seconds that requests and hand-offs under way get to end
# A fact makes some dozens of short-lived containers: looking for cycles among them at every 700 is work for nothing.
GC_THRESHOLDS = (20_000, 20, 20)
SIBLING = "OVERTURE_SIBLING"  # the first process's pid, set for the further ones that `workers` asks for
ORPHAN_PAUSE = 0.5  # seconds
AGAIN = 0.5  # seconds until what was told to end, and has not, is told again
CONTESTS = 5.0  # seconds between looks whether a split has a winner
RESTART = 0.5  # seconds before a further process that died is started again


async def serve(settings: Settings, environ: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Run until SIGINT or SIGTERM. Raises StartupRefused with one sentence if it cannot start."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sign, stop.set)
    watch_tasks(loop)
    loop.set_default_executor(Executor())
    require_strong_keys(settings)
    plugins = load_plugins(settings)
    if settings.matcher == "durable" and not available():
        say(
            "durable-rules is not installed (it does not build on Python 3.13 and later): the reference matcher serves."
        )
    async with _store(settings) as url:
        store = await probe(url)
        require(store, allow_weak=settings.allow_weak_durability)
        await _first_start(settings, url, say, plugins.pure())
        parts = await assemble(settings, url, store, plugins, environ)
        try:
            await parts.refresh_keys()
            async with _loops(parts) as failed:
                async with _web(settings, parts, say), _siblings(settings, url, environ):
                    # What start-up made stays: the collector need not look at it again in the middle of a request.
                    gc.collect()
                    gc.freeze()
                    gc.set_threshold(*GC_THRESHOLDS)
                    stopping: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait())]
                    if parent := environ.get(SIBLING):
                        stopping.append(asyncio.create_task(_until_orphaned(int(parent))))
                    await asyncio.wait([*stopping, *failed], return_when=asyncio.FIRST_COMPLETED)
                    for task in stopping:
                        task.cancel()
                    say("Draining …")
                await _drain(parts)
        finally:
            await parts.close()
    await end_tasks()
    say("Stopped; everything accepted is on disk.")


@contextlib.asynccontextmanager
async def _store(settings: Settings) -> AsyncGenerator[str]:
    if settings.redis_url is not None:
        _require_writable(settings.data_dir)
        yield settings.redis_url
        return
    async with EmbeddedStore(settings.data_dir) as store:
        yield store.url


def _require_writable(directory: Path) -> None:
    """The embedded store sees to this itself; with a store elsewhere, archive and keys still go there."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise StartupRefused(
            "data.unwritable",
            f"The data directory {directory} cannot be written: {error.strerror or error}.",
            "Make it writable for this user, or choose another one with OVERTURE_DATA_DIR.",
        ) from error


async def _first_start(settings: Settings, url: str, say: Callable[[str], None], pure: Pure) -> None:
    """Fix what is fixed for ever, see that rulesets can be used, make keys, activate the examples in an empty store."""
    wire = await Wire.connect(url)
    try:
        await settle(wire, settings)
        await load_clock(wire, settings, say)
        await sweeps.list_known(wire, settings.partitions)
        await list_by_contact(wire)
        await require_usable(wire, settings, pure)
        for name, token in (await make_keys(wire, settings)).items():
            say(f"Made the {name} key {token} (kept in {settings.data_dir / 'keys.json'}; shown once)")
        await _activate_examples(settings, wire, say, pure)
    finally:
        await wire.close()


async def _activate_examples(settings: Settings, wire: Wire, say: Callable[[str], None], pure: Pure) -> None:
    rulesets = Rulesets(Registry(wire, settings.partitions), allowed=settings.plugins_allowed, pure=pure)
    version, _ = await rulesets.active()
    if version or settings.rulesets is None:
        return
    wanted: dict[str, str] = {}
    path = settings.rulesets
    try:
        for path in documents(settings.rulesets):
            name, text = _example(path, pure)
            wanted[name] = (await rulesets.put(name, text)).revision
        path = settings.rulesets
        if wanted:
            await rulesets.activate_all(wanted)
    except (OSError, UnicodeDecodeError) as error:
        raise _no_rulesets(f"{path} cannot be read: {error}") from error
    except Refused as error:
        if error.code != "ruleset.changed":  # another process was faster with the same
            raise _no_rulesets(f"{path}: {error.message}") from error
    if wanted:
        say(f"Activated the rulesets of {settings.rulesets.name}/: {', '.join(sorted(wanted))}")


def _example(path: Path, pure: Pure) -> tuple[str, str]:
    """Name and text of a ruleset with the tests beside it."""
    source = with_tests(path, lambda file: file.read_text("utf-8"))
    ruleset, findings = source.inspect(pure)
    if ruleset is None:
        errors = [told(file, finding) for file, found in findings for finding in found if finding.severity == "error"]
        raise _no_rulesets(errors[0])
    return ruleset.name, source.whole()


def _no_rulesets(why: str) -> StartupRefused:
    return StartupRefused(
        "rulesets.unusable",
        f"The rulesets to start with cannot be used: {why.rstrip('.')}.",
        "`overture check` shows everything; OVERTURE_RULESETS names the directory, empty for none.",
    )


@contextlib.asynccontextmanager
async def _web(settings: Settings, parts: Parts, say: Callable[[str], None]) -> AsyncGenerator[None]:
    if "web" not in settings.roles:
        yield
        return
    runner = make_runner(make_app(parts.services), GRACE)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port, reuse_port=settings.workers > 1 or None)
        try:
            await site.start()
        except (OSError, UnicodeError) as error:
            number = error.errno if isinstance(error, OSError) else None
            reason = os.strerror(number) if number and number > 0 else str(error)  # below 0: a name that is none
            place = f"{settings.host}:{settings.port} cannot be listened on: {reason.lower()}."
            if number == errno.EADDRINUSE:
                hint = "Stop what uses it, or choose another OVERTURE_PORT."
                raise StartupRefused("port.taken", place, hint) from error
            raise StartupRefused("port.refused", place, "Choose other OVERTURE_HOST and OVERTURE_PORT.") from error
        port = runner.addresses[0][1]
        if settings.public_url is None:
            parts.links.base = settings.own_url(port)
        say(f"Overture listens on http://{settings.host}:{port}")
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _siblings(settings: Settings, url: str, environ: Mapping[str, str]) -> AsyncGenerator[None]:
    """Further processes on the same port and store, where ``workers`` asks for them; one that dies is started again."""
    further = 0 if environ.get(SIBLING) else settings.workers - 1
    tasks = [asyncio.create_task(_sibling(settings, url, environ)) for _ in range(further)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _sibling(settings: Settings, url: str, environ: Mapping[str, str]) -> None:
    own = {
        **environ,
        "OVERTURE_REDIS_URL": url,
        "OVERTURE_ALLOW_WEAK_DURABILITY": str(settings.allow_weak_durability),
        "OVERTURE_DATA_DIR": str(settings.data_dir),
        "OVERTURE_HOST": settings.host,
        "OVERTURE_PORT": str(settings.port),
        "OVERTURE_ROLES": ",".join(settings.roles),
        SIBLING: str(os.getpid()),
    }
    while True:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "overture.cli", "serve", env=own)
        try:
            code = await process.wait()
            log.warning("A sibling process ended (%d) and is started again", code)
            await asyncio.sleep(RESTART)
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), GRACE)
            raise


@contextlib.asynccontextmanager
async def _loops(parts: Parts) -> AsyncGenerator[list[asyncio.Task[None]]]:
    """The worker and delivery loops, and what keeps the process informed. One that ends by itself has failed."""
    halt = asyncio.Event()
    moved = parts.deliverer.wake if parts.deliverer is not None else lambda: None
    informed = [parts.replies.run(), parts.gauges.run(), _refresh_keys(parts), parts.clock.run(moved)]
    informed.append(parts.telling.run())
    if parts.worker is not None:
        informed += (_settle(parts.settling), parts.eraser.run())
    background = [asyncio.create_task(each) for each in informed]
    fetching = asyncio.create_task(parts.pulling.run())
    loops = [asyncio.create_task(part.run(halt)) for part in (parts.worker, parts.deliverer) if part is not None]
    try:
        yield loops
    finally:
        fetching.cancel()
        await asyncio.wait([fetching], timeout=GRACE)
        halt.set()
        if loops:
            await asyncio.wait(loops, timeout=2 * GRACE)
        ending = {*background, *loops}
        while ending:  # the store's client swallows a cancellation that meets it while it connects
            for task in ending:
                task.cancel()
            _, ending = await asyncio.wait(ending, timeout=AGAIN)
        await parts.telling.drain()
    for task in loops:
        task.result()  # the process ends with the error of the loop that failed


async def _until_orphaned(parent: int) -> None:
    """A further process does not outlive the one that started it, however that ended: it would hold the port."""
    while os.getppid() == parent:
        await asyncio.sleep(ORPHAN_PAUSE)


async def _drain(parts: Parts) -> None:
    """Nothing new comes in any more: let the worker decide what it can. The rest is decided after the next start."""
    if parts.worker is None:
        return
    with contextlib.suppress(TimeoutError, OvertureError):
        async with asyncio.timeout(GRACE):
            await parts.gauges.refresh()
            while parts.gauges.lag:
                await asyncio.sleep(0.05)
                await parts.gauges.refresh()


async def _settle(settling: Settling) -> None:
    """What goes wrong is told by what else asks for the rulesets; here the next look is as good. A mistake of ours must
    not end it unheard: nothing would be learned any more.
    """
    while True:
        await asyncio.sleep(CONTESTS)
        try:
            await settling.settle()
        except OvertureError:
            continue
        except Exception:
            log.exception("What came of splits, choices and models could not be looked at.")


async def _refresh_keys(parts: Parts) -> None:
    while True:
        await asyncio.sleep(2)
        with contextlib.suppress(OvertureError):
            await parts.refresh_keys()
