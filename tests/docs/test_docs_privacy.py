"""``docs/privacy.md`` is true: its stages, reasons and numbers are the code's, its commands work."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args
from urllib.request import Request, urlopen

from dockit import CODE, PATIENCE, Running, blocks, code, page, part, table

from overture.model.reasons import REASONS
from overture.state.erasures import Stage
from overture.state.log import DEDUPE_MS
from overture.web import ROUTES

PAGE = page("privacy.md")


def test_the_stages_are_the_codes_and_in_their_order() -> None:
    assert tuple(code(row[0]) for row in table(PAGE, "stage")) == get_args(Stage)


def test_reasons_scopes_and_days_are_the_codes() -> None:
    stays = part(PAGE, "## What stays")
    told = {each for each in CODE.findall(stays) if each.startswith("suppressed.")}
    assert told == {"suppressed.bounce", "suppressed.complaint"}
    assert told <= set(REASONS)
    days = DEDUPE_MS // 86_400_000
    assert f"for {days} to {2 * days} days" in stays
    scopes = {r.scope for r in ROUTES if r.path.endswith("/export") or r.path.startswith("/v1/erasures")}
    assert {each for each in CODE.findall(PAGE) if each.startswith("contacts:")} == scopes


def test_the_commands_work(running: Running, tmp_path: Path) -> None:
    told = {"type": "identify", "contact": "ada", "properties": {"first_name": "Ada"}}
    headers = {"Authorization": f"Bearer {running.write}", "Content-Type": "application/json"}
    with urlopen(
        Request(f"{running.url}/v1/facts?wait=true", json.dumps(told).encode(), headers), timeout=PATIENCE
    ) as a:
        assert a.status == 200
    (block,) = blocks(PAGE, "")
    environ = {**os.environ, "OVERTURE_ADMIN_KEY": running.admin}
    for line in block.strip().splitlines():
        words = [*shlex.split(line)[1:], "--url", running.url]
        words += ["--yes"] if "erase" in words else []
        done = subprocess.run(
            [sys.executable, "-m", "overture.cli", *words],
            cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert '"first_name": "Ada"' in (tmp_path / "ada.json").read_text()
