"""A real browser (headless Chromium) on pages of another origin; `tests/peers/browser.mjs` drives it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from overture.model.environ import without_settings

PEERS = Path(__file__).parents[1] / "peers"


class Browser:
    """One browser at a time; each `open` is another person, who has been nowhere yet."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.origin: str = self._do("serve", {})

    def serve(self, path: str, html: str) -> None:
        """A page of the site."""
        self._do("serve", {path: {"html": html}})

    def serve_file(self, path: str, file: Path) -> None:
        """A script of the site, such as somebody's library as it is installed."""
        self._do("serve", {path: {"file": str(file)}})

    def open(self, **how: Any) -> None:
        """``dnt``, ``gpc``: signals that the browser gives; ``agent``: what it calls itself."""
        self._do("open", how)

    def goto(self, path: str) -> None:
        """Visit a page of the site, or any address; the page before is left as by a link."""
        self._do("goto", path)

    def eval(self, code: str) -> Any:
        """The value of an expression in the page; a promise is awaited."""
        return self._do("eval", code)

    def until(self, code: str) -> None:
        """Wait until an expression in the page is true."""
        self._do("until", code)

    def offline(self, on: bool) -> None:
        self._do("offline", on)

    def click(self, selector: str) -> None:
        self._do("click", selector)

    def said(self) -> list[str]:
        """What pages wrote to the console, and errors that nobody caught."""
        return self._do("said", True)

    def _do(self, step: str, given: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({step: given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "The browser is gone."
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["value"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser until the end of the block."""
    needed = PEERS / "node_modules" / "@sparticuz" / "chromium"
    assert os.path.isdir(needed), f"{needed} is missing: `make .venv/.peers` installs it"
    process = subprocess.Popen(
        ["node", str(PEERS / "browser.mjs")], cwd=PEERS, env=without_settings(),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Browser(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
