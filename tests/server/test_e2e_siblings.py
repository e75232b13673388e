"""Several processes on one port: none outlives the first."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

from serverkit import SHIPPED, Server, eventually, fact, fresh


def siblings(parent: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()[1:]]
    return [int(pid) for pid, ppid, args in rows if int(ppid) == parent and "overture.cli" in args]


def test_a_killed_first_process_takes_the_others_with_it(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Server(tmp_path, WORKERS="3", PORT=str(port), RULESETS=SHIPPED) as server:
        assert server.process is not None
        first = server.process.pid
        others = eventually(lambda: len(found := siblings(first)) == 2 and found, "two further processes")
        ada = fresh("ada")
        server.facts(fact("order_completed", ada, order_id="1", total=10))
        server.stop(signal.SIGKILL)
        eventually(lambda: not any(os.path.exists(f"/proc/{pid}/exe") for pid in others), "the others are gone")
        server.start()
        assert server.contact(ada)["scores"] == {"spend": 10, "orders": 1}
