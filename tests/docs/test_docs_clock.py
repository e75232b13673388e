"""``docs/clock.md`` is true: its session runs on a server whose clock can be moved, and the mails come."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import sys
from pathlib import Path

from dockit import PATIENCE, blocks, page, part, serving

from overture.model.environ import PREFIX, without_settings
from overture.node import fastforward
from overture.testing import MailServer

PAGE = page("clock.md")
START, SESSION = blocks(PAGE, "")


def test_the_session_of_the_page(tmp_path: Path) -> None:
    *assignments, overture, serve = shlex.split(START)
    assert (overture, serve) == ("overture", "serve")
    settings = {name: value for name, _, value in (each.partition("=") for each in assignments)}
    assert settings.pop(PREFIX + "DATA_DIR") == "staging"
    with asyncio.Runner() as runner:
        mails = MailServer(tmp_path / "mails")
        runner.run(mails.start())
        try:
            with serving(tmp_path, "staging", **settings, OVERTURE_SMTP_URL=mails.url) as server:
                said = spoken(SESSION.replace("http://127.0.0.1:8080", server.url), server.url, tmp_path)
            received = [str(mail.message["Subject"]) for mail in mails.mails()]
        finally:
            runner.run(mails.stop())
    assert received == ["Your white paper", "How others did it", "What it costs"]
    lines = said.splitlines()
    assert [line.rpartition(", ")[2] for line in lines[:3]] == ["2 days ahead", "5 days ahead", "5 days ahead"]
    assert "whitepaper_to_onboarding/nurture" in lines[3]
    assert "done" in said


def spoken(commands: str, url: str, directory: Path) -> str:
    """What `overture` prints in a shell that runs the commands."""
    bin = Path(sys.executable).parent
    port = url.rpartition(":")[2]
    environ = {**without_settings(), "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}", "OVERTURE_PORT": port}
    quiet = commands.replace("curl -s", "curl -s -o /dev/null")
    done = subprocess.run(
        ["bash", "-euc", quiet],
        cwd=directory,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return done.stdout


def test_numbers_are_the_codes() -> None:
    what = " ".join(part(PAGE, "## What an advance does").split())
    assert f"After {fastforward.PATIENCE:g} seconds it is 202" in what
    assert f"Where nothing moves for {fastforward.STUCK:g} seconds" in what
    assert f"by {fastforward.FARTHEST // 86_400_000} days at most" in what
