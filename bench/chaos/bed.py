"""Overture's processes, and the faults done to them."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.chaos.store import Store
from overture.model.environ import without_settings

TURN = ("web", "worker", "store", "delivery", "worker", "freeze", "store", "web", "delivery", "store")
START_SECONDS = 2.0  # of the server, on a machine on which the faults follow each other as they stand here
GAVE_UP = (2, 3)  # exit codes of a start that ends with one sentence, here because the store is down at that moment


class Role:
    """One `overture serve --roles …` process, started again whenever it ends."""

    def __init__(self, name: str, role: str, env: dict[str, str], folder: Path) -> None:
        self.name = name
        self.frozen = False
        self.refusals = 0
        self.crashes: list[str] = []
        self._command = [sys.executable, "-m", "overture.cli", "serve", "--roles", role]
        self._env = env
        self._folder = folder
        self._log = (folder / f"{name}.log").open("ab")
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, env=self._env, cwd=self._folder, stdout=self._log, stderr=self._log)

    def kill(self) -> None:
        """kill -9, and up again at once."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = self._start()

    def freeze(self) -> None:
        self.frozen = True
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)
        self.frozen = False

    def revive(self) -> None:
        """Start it again if it ended by itself, and note why."""
        code = self._process.poll()
        if code is None:
            return
        if code in GAVE_UP:
            self.refusals += 1
        else:
            self.crashes.append(f"{self.name} ended with {code}")
        self._process = self._start()

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Bed:
    """A store, one web process, two workers and one delivery process on it, in ``folder``."""

    def __init__(self, folder: Path, store: Store, *, lease_seconds: float, unsafe: dict[str, str]) -> None:
        self.store = store
        self.admin_key = "chaos-admin-key-0123456789abcdef"
        self.write_key = "chaos-write-key-0123456789abcdef"
        self.faults: Counter[str] = Counter()
        self.pace = 1.0  # see `set_pace`
        self._lease = lease_seconds
        self._folder = folder
        self._busy: set[asyncio.Task[None]] = set()
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._env = {
            **without_settings(),
            "OVERTURE_REDIS_URL": store.url,
            "OVERTURE_DATA_DIR": str(folder / "data"),
            "OVERTURE_PORT": str(self._port),
            "OVERTURE_ADMIN_KEY": self.admin_key,
            "OVERTURE_WRITE_KEY": self.write_key,
            "OVERTURE_LEASE_SECONDS": f"{lease_seconds:g}",
            "OVERTURE_EGRESS_ALLOW": "127.0.0.0/8",
            "OVERTURE_MAIL_FROM": "chaos@example.test",
            "OVERTURE_RULESETS": "",
            **unsafe,
        }
        self._roles: list[Role] = []

    async def start(self, smtp_port: int) -> None:
        self._env["OVERTURE_SMTP_URL"] = f"smtp://127.0.0.1:{smtp_port}"
        await self.store.start()
        for name in ("web", "worker-1", "worker-2", "delivery"):
            self._roles.append(Role(name, name.split("-")[0], self._env, self._folder))

    def set_pace(self, seconds: float) -> None:
        """``seconds``: what a start takes here. Killed faster than it can start, a server is never tested at all."""
        self.pace = max(1.0, seconds / START_SECONDS)

    async def torment(
        self, seconds: float, seed: int, faults: Sequence[str] = TURN, pause: tuple[float, float] = (0.2, 1.0)
    ) -> None:
        """Faults in turn for so long, at random pauses (s); afterwards everything is up and thawed."""
        dice = random.Random(seed)
        web, first, second, delivery = self._roles
        until = time.monotonic() + seconds
        turn = itertools.cycle(faults)
        while time.monotonic() < until:
            await asyncio.sleep(dice.uniform(*pause) * self.pace)
            await self._revive()
            fault = next(turn)
            # While one worker is frozen the other must live, or nobody takes over and the fence is not tested.
            awake = [] if first.frozen or second.frozen else [first, second]
            if fault == "store":
                self.store.kill()
                await asyncio.sleep(dice.uniform(0.0, 0.3))
                await self.store.start()
            elif fault == "freeze" and awake:
                task = asyncio.create_task(self._freeze(dice.choice(awake), self._lease + dice.uniform(0.5, 2.5)))
                self._busy.add(task)
                task.add_done_callback(self._busy.discard)
            elif fault == "worker" and awake:
                dice.choice(awake).kill()
            elif fault in ("web", "delivery"):
                (web if fault == "web" else delivery).kill()
            else:
                continue
            self.faults[fault] += 1
        await asyncio.gather(*self._busy)
        await self._revive()

    async def tend(self) -> None:
        """Revive whatever ends by itself, until cancelled: for the time after the faults."""
        while True:
            await self._revive()
            await asyncio.sleep(0.5)

    async def _freeze(self, worker: Role, seconds: float) -> None:
        worker.freeze()
        await asyncio.sleep(seconds)
        worker.thaw()

    async def _revive(self) -> None:
        for role in self._roles:
            role.revive()

    def crashes(self) -> list[str]:
        return [line for role in self._roles for line in role.crashes]

    def refusals(self) -> int:
        """Starts that were given up because the store was down at that moment."""
        return sum(role.refusals for role in self._roles)

    def stop(self) -> None:
        for role in self._roles:
            if role.frozen:
                role.thaw()
            role.stop()
        self.store.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
