"""`python -m bench.channels`: receivers of mail and webhooks that misbehave, and what becomes of the messages.

What a receiver does with a message follows from the message's id: up to three times it is slow, says "later", breaks
the connection before or after it took the message, answers too late or unreadably; then it takes it. Some it refuses
for good. Meanwhile the delivering process is killed now and then. Exit code 0: all that was not refused is sent,
nothing is handed over again after its confirmation, and every repeat is one that the server calls ambiguous.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import aiohttp
from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session
from rich.console import Console

from bench.chaos import rules, verdict
from bench.chaos.bed import Bed
from bench.chaos.ledger import Ledger
from bench.chaos.load import Writer
from bench.chaos.receivers import Receivers, fact_of, opened
from bench.chaos.server import Server
from bench.chaos.store import Store
from bench.chaos.verdict import Finding

TIMEOUT = 2.0  # seconds that our channels wait for an answer here
SLOW = (0.3, 1.2)  # seconds: slow, but in time
DRAIN_SECONDS = 300.0
REFUSED = 0.03  # share of messages that are refused for good
TAKEN = ("slow", "reset after the body", "reply lost", "answered too late")
NOT_TAKEN = ("answered 4xx or 5xx: later", "reset before the body was read")
SETTINGS = f"""\
[channels.webhook]
timeout = {TIMEOUT}
[channels.email]
timeout = {TIMEOUT}
connections = 16
"""


class Unruly(Receivers):
    """``done``: how often which misbehaviour was shown."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.done: Counter[str] = Counter()
        self._tries: Counter[str] = Counter()

    def _next(self, key: str) -> tuple[str, random.Random]:
        """What to do with a message this time."""
        script = random.Random(key)
        if script.random() < REFUSED:
            what = "refused for good"
        else:
            plan = script.choices([*TAKEN, *NOT_TAKEN], k=script.choice((0, 0, 0, 1, 1, 2, 3)))
            what = plan[self._tries[key]] if self._tries[key] < len(plan) else "taken at once"
        self._tries[key] += 1
        self.done[what] += 1
        return what, random.Random(f"{key}{self._tries[key]}")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        key, body = opened(envelope)
        what, dice = self._next(key)
        if what == "refused for good":
            self.refused.add(fact_of(body))
            return "554 5.7.1 Not here"
        if what == NOT_TAKEN[0]:
            return dice.choice(("451 4.3.0 Later", "452 4.2.2 Full for now", "421 4.7.0 Too much"))
        if what == NOT_TAKEN[1]:  # of a mail it is the answer that is missing, not the body: nobody can tell
            _abort(server.transport)
            return ""
        self.take(key, body)
        if what == "slow":
            await asyncio.sleep(dice.uniform(*SLOW))
        elif what == "answered too late":
            await asyncio.sleep(TIMEOUT * 1.5)
        elif what == "reset after the body":
            _abort(server.transport)
        elif what == "reply lost":
            if dice.random() < 0.5:
                return "999 What?"
            assert server.transport is not None
            server.transport.close()
        return "250 OK"

    async def _hook(self, request: web.Request) -> web.Response:
        key = request.headers["webhook-id"]
        what, dice = self._next(key)
        if what == NOT_TAKEN[1]:
            _abort(request.transport)
            return web.Response()
        body = await request.read()
        if what == "refused for good":
            self.refused.add(fact_of(body))
            return web.Response(status=dice.choice((400, 404, 422)))
        if what == NOT_TAKEN[0]:
            headers = {"Retry-After": "2"} if dice.random() < 0.5 else {}
            return web.Response(status=dice.choice((429, 500, 502, 503)), headers=headers)
        self.take(key, body)
        if what == "slow":
            await asyncio.sleep(dice.uniform(*SLOW))
        elif what == "answered too late":
            await asyncio.sleep(TIMEOUT * 1.5)
        elif what == "reset after the body":
            _abort(request.transport)
        elif what == "reply lost" and request.transport is not None:
            request.transport.close()
        return web.Response()


def _abort(transport: asyncio.BaseTransport | None) -> None:
    assert isinstance(transport, asyncio.WriteTransport)
    transport.abort()


async def _run(options: argparse.Namespace, console: Console, bed: Bed, unruly: Unruly) -> list[Finding]:
    ledger = Ledger(run=secrets.token_hex(4), message_share=options.messages)
    await unruly.start()
    await bed.start(unruly.smtp_port)
    timeout = aiohttp.ClientTimeout(total=15)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as http:
        server = Server(http, bed.url, bed.admin_key)
        await server.until_ready(30)
        await server.deploy(rules.NAME, rules.document(unruly.hook_port))
        stop = asyncio.Event()
        writers = [Writer(n, 100, http, bed.url, bed.write_key, ledger, False) for n in range(2)]
        writing = asyncio.gather(*(writer.run(stop, options.pause) for writer in writers))
        faults = ("delivery",) if options.kills else ()
        await (bed.torment(options.seconds, 1, faults, (4, 10)) if faults else asyncio.sleep(options.seconds))
        stop.set()
        await asyncio.wait_for(writing, 60)
        console.print(f"{ledger.total():,} facts, {sum(unruly.done.values()):,} hand-offs so far; draining …")
        drained = await server.drained(DRAIN_SECONDS)
        findings = await verdict.facts(server, ledger, confirmations := {})
        findings += await verdict.messages(server, ledger, unruly, confirmations)
    return [*findings, Finding("not drained in time", 0 if drained else 1)]


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.channels", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long facts are posted")
    parser.add_argument("--messages", type=float, default=0.2, help="share of facts that set off a message")
    parser.add_argument("--pause", type=float, default=0.5, help="mean seconds between a writer's requests")
    parser.add_argument("--no-kills", dest="kills", action="store_false", help="let the delivering process live")
    options = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False, markup=False)
    folder = Path(tempfile.mkdtemp(prefix="channels-"))
    (folder / "overture.toml").write_text(SETTINGS)
    bed = Bed(folder, Store(folder), lease_seconds=2.0, unsafe={})
    unruly = Unruly(folder)
    try:
        findings = await _run(options, console, bed, unruly)
    finally:
        bed.stop()
        await unruly.stop()
    findings += [Finding(f"hand-off: {what}", count, None) for what, count in sorted(unruly.done.items())]
    findings += [Finding(f"fault: kill -9 {name}", count, None) for name, count in bed.faults.items()]
    missing = [what for what in (*TAKEN, *NOT_TAKEN) if not unruly.done[what]]
    findings.append(Finding("misbehaviours never shown", len(missing), example=", ".join(missing)))
    short = verdict.show(console, findings)
    if short:
        console.print(f"Logs, store and arrivals are in {folder}.")
    else:
        shutil.rmtree(folder)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
