"""``docs/security.md`` says what the jail and the lanes do, by the code's own numbers and codes."""

from __future__ import annotations

import inspect
import re

from dockit import page

from overture.sandbox import answering, jail, manner
from overture.sandbox.lanes import Lanes
from overture.settings import Settings

PAGE = page("security.md")


def rows(title: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0], re.MULTILINE)


def test_the_parts_of_the_jail_are_the_codes() -> None:
    assert tuple(rows("The jail")) == jail.PARTS
    assert f"{jail.MEMORY >> 20} MB of address space" in PAGE
    assert f"more than {jail.DESCRIPTORS} descriptors" in PAGE


def test_the_codes_are_those_of_the_lanes() -> None:
    said = set(re.findall(r'"(script\.[a-z_]+)"', inspect.getsource(answering)))
    assert set(rows("What becomes of a script that is cut off")) == said
    assert set(answering.CUT_OFF) <= said


def test_the_numbers_are_the_codes() -> None:
    settings = Settings()
    assert f"{settings.script_timeout_ms} ms (`script_timeout_ms`), {answering.MEMORY >> 20} MB" in PAGE
    assert f"there are, {settings.script_workers} by default" in PAGE
    strikes, pause = (inspect.signature(Lanes).parameters[name].default for name in ("strikes", "pause"))
    assert (strikes, pause) == (5, 60.0)
    assert "five times in a row, and is left alone for a minute" in PAGE
    assert f"{manner.ANSWER >> 10} KB of JSON" in PAGE
