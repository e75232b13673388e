"""`overture doctor`: whether this machine has what a server needs, what is missing, and what that means."""

from __future__ import annotations

import asyncio
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

from overture import __version__
from overture.cli.terminal import Json, console, load_settings
from overture.model import OvertureError
from overture.settings import Settings

State = Literal["ok", "lacks", "fails"]
_LEAST_FREE = 1 << 30  # bytes for archive and store
_NOT_FOR_USERS = ("dev", "fuzz")
_JAIL = {
    "limits": "nothing bounds the memory of what runs scripts and templates",
    "no_new_privs": "a program could gain rights that the server does not have",
    "landlock": "files are kept from it by the list of calls alone (Linux 5.13 or later has Landlock)",
    "seccomp": "the kernel's calls are not on a closed list (Linux on x86-64 and arm64 has it)",
}


class Finding(NamedTuple):
    """``lacks``: a server runs, with less than there could be. ``fails``: it does not run like this."""

    about: str
    state: State
    says: str
    hint: str = ""


def doctor(*, as_json: Json = False) -> int:
    """Whether this machine has what a server needs. Exit code 0: it has; 1: a server would not run like this."""
    findings = list(_findings())
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings]))
    else:
        for finding in findings:
            console.print(f"{finding.state:6} {finding.about:10} {finding.says}", markup=False)
            if finding.hint:
                console.print(f"{'':17} {finding.hint}", markup=False)
    return 1 if any(finding.state == "fails" for finding in findings) else 0


def _findings() -> Iterator[Finding]:
    where = f"{platform.system()} {platform.release()} on {platform.machine()}"
    yield Finding("overture", "ok", f"{__version__}, Python {platform.python_version()}, {where}")
    try:
        settings = load_settings()
    except OvertureError as error:
        yield Finding("settings", "fails", error.message, error.hint)
        settings = None
    else:
        yield Finding("settings", "ok", "They can be used; overture config shows them.")
    if settings is not None:
        yield _found("store", lambda: _store(settings))
        yield _found("data", lambda: _data(settings.data_dir))
    yield _found("scripts", _scripts)
    yield _found("jail", _jail)
    yield _matcher()
    yield _extras()


def _found(about: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except OvertureError as error:
        return Finding(about, "fails", error.message, error.hint)
    except OSError as error:
        return Finding(about, "fails", f"{error.strerror or error}.")
    except (ImportError, subprocess.SubprocessError) as error:  # a package for another machine; a program that hangs
        return Finding(about, "fails", f"{error}.")


def _store(settings: Settings) -> Finding:
    from overture.state.embedded.binary import find_server
    from overture.state.probe import probe

    if settings.redis_url is None:
        program = find_server()
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
        version = re.search(r"v=([\d.]+)", said)
        return Finding("store", "ok", f"{Path(program).name} {version[1] if version else ''}, in the data directory")
    store = asyncio.run(probe(settings.redis_url))
    says = f"{store.kind} {store.version}, keeps what it acknowledged: {store.durability}"
    return Finding("store", "lacks" if store.weakness else "ok", says, store.weakness)


def _data(directory: Path) -> Finding:
    there = directory.absolute()
    while not there.exists():
        there = there.parent
    with tempfile.TemporaryFile(dir=there):
        pass
    free = shutil.disk_usage(there).free
    says = f"{directory}: can be written, {free / (1 << 30):.1f} GB free"
    return Finding("data", "ok" if free >= _LEAST_FREE else "lacks", says, "" if free >= _LEAST_FREE else "Make room.")


def _scripts() -> Finding:
    from overture.model.script import Call, Script
    from overture.sandbox.lanes import Lanes

    script = Script("doctor", "sum", "doctor", "def main(n):\n    return n + 1\n")
    with Lanes(1, timeout_ms=1000) as lanes:
        (said,) = lanes.run_now([Call(script, '{"n": 41}', 0, "")])
    version = metadata.version("pydantic-monty")
    if said.value != 42:
        return Finding("scripts", "fails", f"pydantic-monty {version} runs none: {said.message}")
    return Finding("scripts", "ok", f"pydantic-monty {version} runs them")


def _jail() -> Finding:
    from overture.sandbox.lanes import launcher

    said = subprocess.run([launcher(), "--report"], capture_output=True, text=True, timeout=30, check=False)
    held = said.stdout.split()
    missing = [part for part in _JAIL if part not in held]
    if not missing:
        return Finding("jail", "ok", f"{', '.join(held)}: scripts and templates can open nothing")
    says = f"holds: {', '.join(held) or 'nothing'}; missing: {', '.join(missing)}"
    why = "; ".join(f"{part}: {_JAIL[part]}" for part in missing)
    return Finding("jail", "lacks", says, f"{why}. Then let only those write scripts and templates whom you trust.")


def _matcher() -> Finding:
    try:
        version = metadata.version("durable-rules")
    except metadata.PackageNotFoundError:
        return Finding("matcher", "lacks", "durable-rules is not installed: the reference matcher serves, more slowly.")
    return Finding("matcher", "ok", f"durable-rules {version}")


def _extras() -> Finding:
    """What can be installed besides, and is not."""
    missing: dict[str, list[str]] = {}
    there: list[str] = []
    wanted: dict[str, list[str]] = {}
    for line in metadata.requires("overture") or []:
        found = re.fullmatch(r"([A-Za-z0-9._-]+).*\bextra == ['\"]([a-z]+)['\"].*", line)
        if found and found[2] not in _NOT_FOR_USERS:
            wanted.setdefault(found[2], []).append(found[1])
    for extra, packages in sorted(wanted.items()):
        absent = [package for package in packages if not _installed(package)]
        if absent:
            missing[extra] = absent
        else:
            there.append(extra)
    says = f"installed: {', '.join(there) or 'none'}"
    if missing:
        says += f"; not: {', '.join(missing)}"
    hint = f"{sys.executable} -m pip install 'overture[{','.join(missing)}]', where you need them" if missing else ""
    return Finding("extras", "ok", says, hint)


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
