"""``docs/tutorial-plugin.md`` is true: its files are written, its commands run, its message arrives."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dockit import PATIENCE, ROOT, blocks, code, page, part, table

from overture import pytest_plugin, testing
from overture.model.environ import without_settings
from overture.plugin.breaker import BLOCKED
from overture.plugin.steps import AGAIN, STRETCH

PAGE = page("tutorial-plugin.md")
PLUGINS = page("plugins.md")
MADE_BY_PIP = ("python3 -m venv", ".venv/bin/pip")  # which `python -m bench.template` does in full


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Reader:
    """Somebody who follows the page, in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self.package = directory / "overture-pigeon"
        self.directory = directory
        self.ports = {"8099": str(free_port()), "8080": str(free_port())}
        tools = directory / "tools"
        tools.mkdir()
        for name, module in (("overture", "overture.cli"), ("pytest", "pytest"), ("python", "")):
            command = f"{sys.executable} -m {module}" if module else sys.executable
            (tools / name).write_text(f'#!/bin/sh\nexec {command} "$@"\n')
            (tools / name).chmod(0o755)
        path = os.pathsep.join(filter(None, (str(self.package), os.environ.get("PYTHONPATH", ""))))
        self.environ = {
            **without_settings(), "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": path,
            "OVERTURE_PORT": self.ports["8080"], "OVERTURE_LOG_LEVEL": "warning", "PYTHONDONTWRITEBYTECODE": "1",
            "COLUMNS": "300",
        }  # fmt: skip

    def moved(self, text: str) -> str:
        """What the page says, with the ports and tools of this test."""
        for port, own in self.ports.items():
            text = text.replace(port, own)
        return text.replace(".venv/bin/", "")

    def run(self, script: str, cwd: Path | None = None) -> str:
        lines = [line for line in script.splitlines() if not line.startswith(MADE_BY_PIP)]
        done = subprocess.run(
            ["bash", "-euc", self.moved("\n".join(lines))], cwd=cwd or self.package, env=self.environ,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout

    @contextmanager
    def running(self, script: str, output: Path) -> Iterator[None]:
        """What a terminal of its own is for."""
        with output.open("wb") as file:
            command = ["bash", "-euc", f"exec env {self.moved(script).strip()}"]
            process = subprocess.Popen(command, cwd=self.package, env=self.environ, stdout=file, stderr=file)
        try:
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE)


def eventually(check: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (answer := check()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return answer


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """After the first three chapters."""
    reader = Reader(tmp_path_factory.mktemp("reader"))
    begin, install = blocks(part(PAGE, "## 1. A package"), "")
    reader.run(begin, reader.directory)
    project = tomllib.loads((reader.package / "pyproject.toml").read_text())["project"]
    info = reader.package / "overture_pigeon-0.1.0.dist-info"  # as pip would leave it
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text("[overture]\npigeon = overture_pigeon\n")
    assert "channel pigeon" in reader.run(install)
    return reader


def test_what_is_changed_passes_its_test(reader: Reader) -> None:
    module = reader.package / "overture_pigeon.py"
    lines = module.read_text().splitlines(keepends=True)
    (last,) = [n for n, line in enumerate(lines) if line.lstrip().startswith('return Rejected(f"pigeon.')]
    (changed,) = blocks(part(PAGE, "## 2. What a channel says"), "python")
    module.write_text("".join([*lines[:last], changed, *lines[last + 1 :]]))
    tested = part(PAGE, "## 3. A test of what you changed")
    assert "`tests/test_loft.py`" in tested
    (reader.package / "tests" / "test_loft.py").write_text(blocks(tested, "python")[0])
    assert "3 passed" in reader.run(blocks(tested, "")[0])


def test_the_message_arrives_and_a_channel_that_blocks_is_told(reader: Reader) -> None:
    chapter = part(PAGE, "## 4. A message that arrives")
    loft, serve, rest = blocks(chapter, "")
    (reader.package / "loft.py").write_text(reader.moved(blocks(chapter, "python")[0]))
    (reader.package / "overture.toml").write_text(reader.moved(blocks(chapter, "toml")[0]))
    arrived, said = reader.directory / "loft.txt", reader.directory / "server.txt"
    with reader.running(loft, arrived):
        with reader.running(serve, said):
            eventually(lambda: "listens on" in said.read_text(), "the server listens")
            reader.run(rest)
            line = eventually(lambda: re.search(r"^\{.*\}$", arrived.read_text(), re.MULTILINE), "the message arrives")
            assert f"`{line[0]}`" in chapter
            assert json.loads(line[0])["to"] == "loft-7"

        wrong = part(PAGE, "## 5. When it goes wrong")
        module = reader.package / "overture_pigeon.py"
        good = module.read_text()
        (stop, bring) = re.findall(r"`(time\.sleep\(\d+\)|import time)`", wrong)
        blocked = good.replace("        body = {", f"        {stop}\n        body = {{").replace(
            "import aiohttp", f"{bring}\n\nimport aiohttp"
        )
        module.write_text(blocked)
        with reader.running(serve, said):
            eventually(lambda: "listens on" in said.read_text(), "the server listens")
            reader.run(rest.replace("A-7", "A-8"))
            exports = "\n".join(line for line in rest.splitlines() if line.startswith("export"))
            shown = eventually(
                lambda: re.search(
                    r"in PigeonChannel\.send \(overture_pigeon\.py, line \d+\)",
                    reader.run(exports + "\n" + blocks(wrong, "")[0]),
                ),
                "it is told which line",
            )
            assert shown
        module.write_text(good)


def test_what_the_reference_says_of_the_kit_is_the_codes() -> None:
    text = part(PLUGINS, "## Testing a plugin")
    named = {name for row in table(text, "name") for name in re.findall(r"`(\w+)`", row[0])}
    told = {name for row in table(text, "name") for cell in row for name in re.findall(r"`(\w+)`", cell)}
    described = {
        "Answer",
        "Caller",
        "Emitted",
        "Feed",
        "Peer",
        "ReceivedMail",
        "ReceivedRequest",
    }  # by those that use them
    assert named <= set(testing.__all__)
    assert set(testing.__all__) <= told | described
    fixtures = {code(row[0]) for row in table(text, "fixture")}
    assert fixtures == {
        name for name, value in vars(pytest_plugin).items() if type(value).__name__ == "FixtureFunctionDefinition"
    }


def test_what_the_reference_says_of_blocking_is_the_codes() -> None:
    text = part(PLUGINS, "## Code that blocks")
    assert f"within {STRETCH * 1000:g} ms" in text
    assert f"for {BLOCKED:g} seconds" in text
    assert f"has {AGAIN * 1000:g} ms" in text
    assert "tutorial-plugin.md" in (ROOT / "README.md").read_text()
