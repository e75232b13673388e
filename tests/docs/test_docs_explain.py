"""``docs/explain.md`` is true: the outcomes are the code's, and its commands run."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from typing import get_args
from urllib.request import Request, urlopen

from dockit import CODE, PATIENCE, Running, blocks, page, table

from overture.web.explained import Outcome

PAGE = page("explain.md")


def test_the_outcomes_are_the_codes():
    told = [code for row in table(PAGE, "outcome") for code in CODE.findall(row[0])]
    assert sorted(told) == sorted(get_args(Outcome))


def test_the_commands_run(running: Running):
    fact = {"id": "h3-explained", "type": "guide_downloaded", "contact": "explained", "properties": {"guide": "seo"}}
    request = Request(
        f"{running.url}/v1/facts?wait=true",
        data=json.dumps(fact).encode(),
        headers={"Authorization": f"Bearer {running.write}"},
    )
    with urlopen(request, timeout=PATIENCE) as answer:
        assert json.load(answer)["accepted"] == 1
    commands = [line.partition("#")[0] for line in blocks(PAGE, "")[0].splitlines()]
    said: list[str] = []
    for command in commands:
        name, *words = shlex.split(command.replace("grace", "explained").replace("h3", "h3-explained"))
        assert name == "overture"
        run = subprocess.run(
            [sys.executable, "-m", "overture.cli", *words, "--url", running.url],
            env={"OVERTURE_ADMIN_KEY": running.admin}, capture_output=True, text=True, timeout=PATIENCE,
            cwd=running.data,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr
        said.append(run.stdout.splitlines()[0])
    assert said == [
        *["seo_guide/downloaded, explained: fired"] * 2,
        "segment loyal, explained: out",
        "journey abandoned_cart/cart, explained: no fact",
    ]
