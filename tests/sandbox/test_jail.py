"""What is refused from inside the jail, tried one by one; and that the workers of scripts are in it."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pydantic_monty as monty
import pytest

from overture.sandbox import jail
from overture.sandbox.lanes import launcher

HERE = Path(__file__).parent
LINUX = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
pytestmark = pytest.mark.skipif(not LINUX, reason="elsewhere there are limits alone, and overture doctor says so")


def probe(how: str) -> tuple[list[str], dict[str, str]]:
    said = subprocess.run(
        [sys.executable, str(HERE / "jailprobe.py"), how],
        env={**os.environ, "PROBE_SECRET": "hush"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    answer = json.loads(said.stdout)
    assert answer["sum"] == 499_500
    return answer["held"], answer["outcome"]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="some attempts go by the number of a call on x86-64")
@pytest.mark.parametrize(
    ("how", "allowed"),
    [("lock", set[str]()), ("confine", {"a page to run code in"})],  # a program that is still to be loaded needs such
    ids=["a Python process after lock", "a program in the jail"],
)
def test_nothing_of_it_gets_out(how: str, allowed: set[str]) -> None:
    held, outcome = probe(how)
    assert held == list(jail.PARTS)
    assert len(outcome) > 40
    assert {name for name, came in outcome.items() if came == "done"} == allowed
    assert not Path("/tmp/from-the-jail").exists()


def test_the_worker_of_a_script_is_in_the_jail() -> None:
    with monty.Monty(binary_path=launcher(), max_processes=1) as pool, pool.checkout() as session:
        assert session.feed_run("6 * 7") == 42
        assert session.worker_pid is not None
        proc = Path(f"/proc/{session.worker_pid}")
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
        assert (status["Seccomp"].strip(), status["NoNewPrivs"].strip()) == ("2", "1")
        assert (proc / "environ").read_bytes() == b""
        assert sorted(os.listdir(proc / "fd")) == ["0", "1", "2"]
        limits = (proc / "limits").read_text()
        for line in (
            "Max file size             0",
            "Max core file size        0",
            "Max address space         536870912",
        ):
            assert line in limits
        os.kill(session.worker_pid, signal.SIGINT)
        assert session.feed_run("6 * 7") == 42


def test_the_report_names_what_holds_here() -> None:
    said = subprocess.run([launcher(), "--report"], capture_output=True, text=True, check=True, timeout=30)
    assert said.stdout.split() == list(jail.PARTS)


ENDLESS = """
from overture.model.script import Call, Script
from overture.sandbox.lanes import Lanes
endless = Script("g", "f", "1", "def main():\\n    while True:\\n        pass", timeout_ms=3_600_000)
Lanes(1).run_now([Call(endless, "{}", 0, "")])
"""


def test_no_worker_outlives_a_server_that_was_killed_not_even_one_that_is_at_work() -> None:
    with subprocess.Popen([sys.executable, "-c", ENDLESS]) as server:
        while not any(computed(pid) > 10 for pid in children(server.pid)):
            assert server.poll() is None
            time.sleep(0.05)
        workers = children(server.pid)
        server.send_signal(signal.SIGKILL)
        server.wait(10)
        deadline = time.monotonic() + 20
        while any(computed(pid) >= 0 for pid in workers) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [pid for pid in workers if computed(pid) >= 0] == []


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def computed(pid: int) -> int:
    """Ticks of computing; -1 where the process is no more."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return -1
    return -1 if fields[0] == "Z" else int(fields[11])
