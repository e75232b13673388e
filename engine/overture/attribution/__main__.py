"""The process of one question: `python -m overture.attribution`. It gives way to everything else on the machine, may
not take more than its share of memory, and does not outlive the server that started it.

The specification is the first line of the standard input, which then stays open: where it ends, the server is gone.
Each line that it writes is a `Said`, the last one with the answer.
"""

from __future__ import annotations

import gc
import os
import resource
import sys
import threading
from contextlib import suppress

import msgspec

from overture.attribution.answer import Attribution, Refusal, Said
from overture.attribution.run import Spec, answer
from overture.model import OvertureError

NICE = 15
MEMORY = 1 << 30  # bytes


def main() -> int:
    os.nice(NICE)
    with suppress(ValueError, OSError):  # a system that has no such limit, or a lower one already
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    spec = msgspec.json.decode(sys.stdin.buffer.readline(), type=Spec)
    threading.Thread(target=_end_with_the_server, daemon=True).start()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    _say(_worked_out(spec))
    return 0


def _worked_out(spec: Spec) -> Said:
    found: Attribution
    try:
        found = answer(spec, lambda facts: _say(Said(facts)))
    except MemoryError:
        hint = "Choose a shorter period or a coarser `by`."
        return Said(failure=Refusal("attribution.failed", f"It took more than {MEMORY >> 20} MiB of memory.", hint))
    except OvertureError as error:
        return Said(failure=Refusal(error.code, error.message, error.hint))
    except Exception as error:
        said = f"It failed: {type(error).__name__}: {error}"
        return Said(failure=Refusal("attribution.failed", said, "Please report it."))
    return Said(found.facts, found)


def _say(said: Said) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_the_server() -> None:
    while os.read(0, 4096):  # not `sys.stdin`, whose lock would be missed at the end
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
