"""The command line: ``overture …``. A person's mistake gets one clear sentence, never a traceback."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence

INTERRUPTED, CLOSED = 130, 141
# Pydantic would read the entry points of all that is installed, fail at any that are malformed, and import what is in
# its own group, whether or not that is allowed.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answers the exit code. The process ends soon, whatever threads plugins have left in it."""
    code = 1
    try:
        code = _run(arguments)
    finally:
        if any(not each.daemon for each in threading.enumerate() if each is not threading.main_thread()):
            _leave(code)
    return code


def _leave(code: int) -> None:
    from overture.plugin.threads import leave

    sys.stdout.flush()
    sys.stderr.flush()
    leave(code)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        # Imported here: Ctrl-C in the second that this takes is no reason for a traceback either.
        from overture.cli.main import run

        return run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads what is printed has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED
