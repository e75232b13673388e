"""`python -m bench.chaos`: faults under load, then the verdict; exit code 0: nothing lost, doubled, reordered, resent.

With `--weaken` something that prevents this is switched off, and the exit code is 0 only if the bed sees the damage.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
from rich.console import Console

from bench.chaos import rules, verdict
from bench.chaos.bed import Bed
from bench.chaos.ledger import Ledger
from bench.chaos.load import Writer
from bench.chaos.receivers import Receivers
from bench.chaos.server import Server
from bench.chaos.store import Store
from bench.chaos.verdict import Finding

LEASE_SECONDS = 2.0
DRAIN_SECONDS = 180.0
DETECTS = {"durability": {"lost"}, "fence": {"lost", "doubled", "order", "resent"}, "dedupe": {"doubled"}}
UNSAFE = {
    "durability": {"OVERTURE_ALLOW_WEAK_DURABILITY": "true"},
    "fence": {"OVERTURE_UNSAFE_NO_FENCE": "1"},
    "dedupe": {},  # the writers then retry under new ids
}


async def main() -> int:
    options = _options()
    console = Console(soft_wrap=True, highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    weak = options.weaken == "durability"
    store = Store(folder, weak=weak, power_cut=options.power_cut or weak)
    bed = Bed(folder, store, lease_seconds=LEASE_SECONDS, unsafe=UNSAFE.get(options.weaken, {}))
    receivers = Receivers(folder)
    try:
        findings = await _run(options, console, bed, receivers)
    finally:
        bed.stop()
        await receivers.stop()
    short = _print(console, findings, bed)
    if options.weaken:
        seen = [finding for finding in short if finding.damage in DETECTS[options.weaken]]
        told = "; ".join(f"{finding.name}: {finding.value:,}" for finding in seen)
        console.print(f"{options.weaken} weakened: {f'DETECTED ({told})' if seen else 'NOT DETECTED'}")
        passed = bool(seen)
    else:
        passed = not short
    if passed and not options.keep:
        shutil.rmtree(folder)
    else:
        console.print(f"Logs, store and arrivals are in {folder}.")
    return 0 if passed else 1


async def _run(options: argparse.Namespace, console: Console, bed: Bed, receivers: Receivers) -> list[Finding]:
    ledger = Ledger(run=secrets.token_hex(4), message_share=options.messages)
    await receivers.start()
    await bed.start(receivers.smtp_port)
    timeout = aiohttp.ClientTimeout(total=15)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as http:
        server = Server(http, bed.url, bed.admin_key)
        starting = time.monotonic()
        await server.until_ready(30)
        bed.set_pace(time.monotonic() - starting)
        await server.deploy(rules.NAME, rules.document(receivers.hook_port))
        stop = asyncio.Event()
        fresh_ids = options.weaken == "dedupe"
        writers = [
            Writer(n, options.contacts, http, bed.url, bed.write_key, ledger, fresh_ids) for n in range(options.writers)
        ]
        writing = asyncio.gather(*(writer.run(stop, options.pause) for writer in writers))
        began = time.monotonic()
        telling = asyncio.create_task(_tell(console, bed, ledger, receivers))
        await bed.torment(options.seconds, options.seed)
        under_load = time.monotonic() - began
        tending = asyncio.create_task(bed.tend())
        stop.set()
        await asyncio.wait_for(writing, 60)
        telling.cancel()
        console.print(f"{sum(bed.faults.values())} faults in {under_load:.0f} s (pauses × {bed.pace:.1f}); draining …")
        await server.until_ready(30)
        # Without a protection the counters themselves may be wrong: what is not done soon will not be.
        drained = await server.drained(DRAIN_SECONDS if not options.weaken else DRAIN_SECONDS / 6)
        confirmations: verdict.Confirmations = {}
        findings = await verdict.facts(server, ledger, confirmations)
        findings += await verdict.messages(server, ledger, receivers, confirmations)
        tending.cancel()
    unexpected = ledger.unexpected
    return [
        *findings,
        Finding("not drained in time", 0 if drained else 1),
        Finding(
            "answers that the contract does not know", len(unexpected), example=unexpected[0] if unexpected else ""
        ),
        Finding("retried requests", ledger.retries, None),
        Finding("deliberate repeats", ledger.repeats, None),
    ]


async def _tell(console: Console, bed: Bed, ledger: Ledger, receivers: Receivers) -> None:
    while True:
        await asyncio.sleep(10)
        console.print(
            f"  {sum(bed.faults.values())} faults, {ledger.total():,} facts acknowledged, "
            f"{sum(map(len, receivers.arrivals.values())):,} messages received, {ledger.retries:,} requests retried"
        )


def _print(console: Console, findings: list[Finding], bed: Bed) -> list[Finding]:
    """Print the table; answers what falls short."""
    for name, count in sorted(bed.faults.items()):
        findings.append(
            Finding(
                f"fault: {'SIGSTOP of a worker past its lease' if name == 'freeze' else f'kill -9 {name}'}", count, None
            )
        )
    crashes = bed.crashes()
    findings += [
        Finding("bytes lost at power cuts", bed.store.cut_bytes, None),
        Finding("starts given up because the store was down", bed.refusals(), None),
        Finding("processes that ended by themselves", len(crashes), example=", ".join(crashes)),
    ]
    return verdict.show(console, findings)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180, help="how long faults are made")
    parser.add_argument("--power-cut", action="store_true", help="a killed store also loses what it had not fsynced")
    parser.add_argument("--weaken", choices=sorted(UNSAFE), default="", help="switch a protection off: must be seen")
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--contacts", type=int, default=60, help="per writer")
    parser.add_argument("--pause", type=float, default=0.03, help="mean seconds between a writer's requests")
    parser.add_argument("--messages", type=float, default=0.05, help="share of facts that set off a message")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="keep the folder also when all is well")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
