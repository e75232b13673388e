"""A scratch process: one job on standard input, its answer on standard output.

Called with the seconds of computing that the job may take.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import traceback

import msgspec

from overture.trial.job import Prove, Try, work

MEMORY = 2 * 1024**3  # bytes of address space


def main() -> None:
    os.nice(10)  # who is being served comes first
    _limit(resource.RLIMIT_CPU, int(sys.argv[1]))
    _limit(resource.RLIMIT_AS, MEMORY)
    job = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Prove | Try)
    sys.stdout.buffer.write(msgspec.msgpack.encode(work(job)))


def _limit(what: int, most: int) -> None:
    with contextlib.suppress(OSError, ValueError):  # not every system has every limit
        resource.setrlimit(what, (most, most))


code = 1
try:
    main()
    code = 0
except BaseException:
    traceback.print_exc()
finally:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads that plugins started may never end
