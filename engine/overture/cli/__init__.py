"""The command line: ``overture …``. A person's mistake gets one clear sentence, never a traceback."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

INTERRUPTED, CLOSED = 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answers the exit code."""
    try:
        # Imported here: Ctrl-C in the second that this takes is no reason for a traceback either.
        from overture.cli.main import run

        return run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads what is printed has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED
