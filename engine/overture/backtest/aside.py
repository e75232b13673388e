"""How a process of one job begins: it gives way to everything else on the machine, may not take more than its share of
memory, and does not outlive the server that started it.

The specification is the first line of the standard input, which then stays open: where it ends, the server is gone.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import threading
from contextlib import suppress
from typing import TypeVar

import msgspec

NICE = 15
MEMORY = 1 << 30  # bytes

S = TypeVar("S")


def begin(specification: type[S]) -> S:
    """Called once, first."""
    os.nice(NICE)
    with suppress(ValueError, OSError):  # a system that has no such limit, or a lower one already
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    spec = msgspec.json.decode(sys.stdin.buffer.readline(), type=specification)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # a fact makes some dozens of short-lived containers, and hardly a cycle
    return spec


def _end_with_the_server() -> None:
    while os.read(0, 4096):  # not `sys.stdin`, whose lock would be missed at the end
        pass
    os._exit(1)
