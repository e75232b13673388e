"""The process of one backtest: `python -m overture.backtest`. It gives way to everything else on the machine, may not
take more than its share of memory, and does not outlive the server that started it.

The specification is the first line of the standard input, which then stays open: where it ends, the server is gone.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import threading
from contextlib import suppress
from pathlib import Path

import msgspec

from overture.backtest.job import Job
from overture.backtest.run import Cancelled, Spec, backtest
from overture.model import OvertureError

NICE = 15
MEMORY = 1 << 30  # bytes
ENDED = 0


def main() -> int:
    os.nice(NICE)
    with suppress(ValueError, OSError):  # a system that has no such limit, or a lower one already
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    spec = msgspec.json.decode(sys.stdin.buffer.readline(), type=Spec)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # a fact makes some dozens of short-lived containers, and hardly a cycle
    job = Job(Path(spec.directory))
    try:
        backtest(spec)
    except Cancelled:
        pass
    except MemoryError:
        job.fail("backtest.memory", f"It took more than {MEMORY >> 20} MiB of memory.", "Choose a shorter period.")
    except OvertureError as error:
        job.fail(error.code, error.message, error.hint)
    except Exception as error:
        job.fail("backtest.failed", f"It failed: {type(error).__name__}: {error}", "Please report it.")
    return ENDED


def _end_with_the_server() -> None:
    while os.read(0, 4096):  # not `sys.stdin`, whose lock would be missed at the end
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
