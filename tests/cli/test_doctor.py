"""`overture doctor`: what this machine has, and what a server would not run without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from overture.sandbox import jail


def doctor(directory: Path, **environment: str) -> tuple[int, dict[str, dict[str, Any]]]:
    said = subprocess.run(
        [sys.executable, "-m", "overture.cli", "doctor", "--json"],
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert said.stdout, said.stderr
    return said.returncode, {finding["about"]: finding for finding in json.loads(said.stdout)}


def test_a_machine_that_has_everything(tmp_path: Path) -> None:
    code, found = doctor(tmp_path)
    assert code == 0
    assert found.keys() >= {"overture", "settings", "store", "data", "scripts", "jail", "matcher", "extras"}
    assert all(finding["state"] != "fails" for finding in found.values())
    assert "runs them" in found["scripts"]["says"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only limits hold")
def test_the_jail_is_told_by_its_parts(tmp_path: Path) -> None:
    assert doctor(tmp_path)[1]["jail"]["says"].startswith(", ".join(jail.PARTS))


def test_what_a_server_would_not_run_without_is_told_with_what_to_do(tmp_path: Path) -> None:
    code, found = doctor(tmp_path, OVERTURE_REDIS_URL="redis://127.0.0.1:1")
    assert code == 1
    assert (found["store"]["state"], found["data"]["state"]) == ("fails", "ok")
    assert "OVERTURE_REDIS_URL" in found["store"]["hint"]
    code, found = doctor(tmp_path, OVERTURE_PORT="many")
    assert (code, found["settings"]["state"]) == (1, "fails")
    assert found["scripts"]["state"] == "ok"


def test_an_interpreter_that_does_not_load_here_is_told_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "pydantic_monty.py").write_text("raise ImportError('libm.so.6: version GLIBC_2.38 not found')\n")
    code, found = doctor(tmp_path, PYTHONPATH=str(tmp_path))
    assert (code, found["scripts"]["state"]) == (1, "fails")
    assert "GLIBC_2.38" in found["scripts"]["says"]
    assert found["matcher"]["state"] in ("ok", "lacks"), "what comes after it is told, too"
