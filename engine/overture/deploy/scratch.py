"""Compiling and testing rulesets in a process of their own: whatever they do, the server goes on serving."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import msgspec

from overture.model import Overloaded, Refused
from overture.model.environ import without_settings
from overture.trial.job import Proof, Prove, Try

COMPUTING = 20  # seconds of computing that one job may take
SECONDS = 25.0  # that it may take in all
WAITING = 8  # jobs that may stand in line

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Proof).decode


class Scratch:
    """Runs one job after the other, each in a new process with limits on time and memory."""

    def __init__(self, computing: int = COMPUTING, seconds: float = SECONDS) -> None:
        self._computing = computing
        self._seconds = seconds
        self._line = asyncio.Semaphore(1)
        self._waiting = 0

    async def run(self, job: Prove | Try) -> Proof:
        """What came of it. Raises what the job refuses: RulesetInvalid, Refused ``ruleset.too_costly``, 404.

        Raises Overloaded ``test.busy`` where too many jobs are waiting, or the machine has no time for this one.
        """
        if self._waiting >= WAITING:
            raise Overloaded("test.busy", "Too many rulesets are being compiled and tested.", retry_after=5)
        self._waiting += 1
        try:
            async with self._line:
                proof = await _process(_encode(job), self._computing, self._seconds)
        finally:
            self._waiting -= 1
        if proof.refusal is not None:
            raise proof.refusal.error()
        return proof


async def _process(job: bytes, computing: int, seconds: float) -> Proof:
    # -P: modules lying about in the working directory are not its code.
    pipe = asyncio.subprocess.PIPE
    command = (sys.executable, "-P", "-m", "overture.trial", str(computing))
    process = await asyncio.create_subprocess_exec(
        *command, env=without_settings(), stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(seconds):
            answer, said = await process.communicate(job)
    except TimeoutError:
        message = "The machine is too busy to compile and test rulesets."  # what it may compute has a limit of its own
        raise Overloaded("test.busy", message, retry_after=30) from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    code = process.returncode or 0
    if not code:
        return _decode(answer)
    if code < 0 or b"MemoryError" in said:
        raise _too_costly()
    raise RuntimeError(f"The scratch process failed: {said.decode('utf-8', 'replace')[-2000:]}")


def _too_costly() -> Refused:
    return Refused(
        "ruleset.too_costly",
        "Compiling and testing takes more time or memory than it may.",
        "Split the ruleset or its tests.",
        status=422,
    )
