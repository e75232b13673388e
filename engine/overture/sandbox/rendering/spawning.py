"""How the renderer's process is started: with nothing of this one's environment, and in a group of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

COMMAND = (sys.executable, "-P", "-m", "overture.sandbox.rendering")
ENVIRONMENT = {"LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
PATIENCE = 10.0  # seconds for one answer: what it may compute has a limit of its own


def end_group(pid: int) -> None:
    """The process and its copies, which have not been waited for yet."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
