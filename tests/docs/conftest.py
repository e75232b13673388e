"""One real server with the example rulesets, for the examples of these pages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from dockit import PATIENCE, Running

from overture.model.environ import without_settings


def ready(url: str) -> bool:
    try:
        with urlopen(f"{url}/readyz") as answer:
            return answer.status == 200
    except HTTPError:
        return False


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """``overture serve`` as on a first start: it makes its keys itself. The mail server is not there."""
    directory = tmp_path_factory.mktemp("docs")
    own = {
        "OVERTURE_PORT": "0",
        "OVERTURE_DATA_DIR": str(directory / "data"),
        "OVERTURE_SMTP_URL": "smtp://127.0.0.1:9",
    }
    environ = without_settings() | own
    output = directory / "output.txt"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "overture.cli", "serve"], cwd=directory, env=environ, stdout=file, stderr=file
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not ((found := re.search(r"listens on (http://\S+)", output.read_text())) and ready(found[1])):
            assert process.poll() is None, output.read_text()
            assert time.monotonic() < deadline, output.read_text()
            time.sleep(0.05)
        keys = json.loads((directory / "data" / "keys.json").read_text())
        yield Running(found[1], keys["write"], keys["admin"], directory / "data")
    finally:
        process.terminate()
        process.wait(PATIENCE)
