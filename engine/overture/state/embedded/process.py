"""One process, never mistaken for a later one that was given the same pid."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """``started`` says when, in words of the system's own; only good for comparing."""

    pid: int
    started: str

    @classmethod
    def find(cls, pid: int) -> Process | None:
        """The process that has this pid now, None if none that runs has."""
        started = _started(pid) if pid > 0 else ""
        return cls(pid, started) if started else None

    def lives(self) -> bool:
        return Process.find(self.pid) == self

    def signal(self, sign: signal.Signals) -> None:
        """Send a signal if this process still runs; its pid may be a stranger's by now."""
        if self.lives():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sign)


def _started(pid: int) -> str:
    if not Path("/proc/self/stat").exists():  # macOS
        ask = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
        state, _, since = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.partition(" ")
        return "" if state.startswith("Z") else since.strip()
    try:
        # The name in the second field may hold anything, blanks and brackets too.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    # Pids and ticks count anew at each boot, and pids in each container; the directory may be shared by some.
    where = [os.readlink("/proc/self/ns/pid")]
    with contextlib.suppress(OSError):
        where.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    return "" if fields[0] in "ZX" else " ".join([*where, fields[19]])
