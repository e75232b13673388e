"""``docs/attribution.md`` is true: parameters, models, the parts of an answer and the numbers are those of the code."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from dockit import CODE, ROOT, Running, blocks, page, part, table

from overture.attribution import MODELS, asking
from overture.attribution.answer import Attribution
from overture.attribution.gather import LABELLED, LONGEST, OTHER
from overture.attribution.question import NONE, ORDERS, Question
from overture.attribution.shapley import PLAYERS
from overture.attribution.touches import LABELS, MESSAGES, TAGS, VISIT
from overture.backtest.aside import MEMORY, NICE
from overture.model.environ import without_settings

PAGE = page("attribution.md")


def names(rows: list[list[str]]) -> list[str]:
    """The pieces of code in the first cells."""
    return [name for row in rows for name in CODE.findall(row[0])]


def test_the_parameters_and_what_they_are_else():
    rows = table(part(PAGE, "## The question"), "parameter")
    assert names(rows) == list(Question.__struct_fields__)
    defaults = {CODE.findall(row[0])[0]: row[2] for row in rows}
    asked = Question("order_completed")
    for name in ("by", "model", "window", "half_life", "position", "order", "repeats"):
        assert defaults[name] == f"`{getattr(asked, name)}`"
    assert f"1 to {ORDERS}" in part(PAGE, "## The question")


def test_touches_and_labels_and_models():
    touches = part(PAGE, "## Touches")
    assert names(table(touches, "by")) == list(LABELS)
    assert {*MESSAGES, VISIT, *TAGS, NONE, OTHER} <= set(CODE.findall(touches))
    assert f"The {LABELLED} labels" in touches
    assert names(table(part(PAGE, "## Models"), "model")) == list(MODELS)
    assert f"more than {PLAYERS} labels" in " ".join(PAGE.split())
    assert f"the last {LONGEST:,} touches" in PAGE


def test_the_parts_of_an_answer(running: Running):
    assert names(table(part(PAGE, "## The answer"), "part")) == list(Attribution.__struct_fields__)
    for command in blocks(PAGE, "")[0].strip().splitlines():
        name, _, conversion, *_ = words = shlex.split(command)
        assert name == "overture"
        environ = without_settings() | {"OVERTURE_ADMIN_KEY": running.admin}
        done = subprocess.run(
            [sys.executable, "-m", "overture.cli", *words[1:], "--url", running.url],
            cwd=ROOT, env=environ, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        path = f"/v1/attribution?{urlencode({'conversion': conversion, 'by': 'campaign'})}"
        headers = {"Authorization": f"Bearer {running.admin}"}
        with urlopen(Request(running.url + path, headers=headers)) as answer:
            assert set(json.load(answer)) == set(Attribution.__struct_fields__)


def test_the_numbers():
    text = " ".join(part(PAGE, "## What it costs").split())
    assert f"(nice {NICE})" in text
    assert f"{MEMORY >> 30} GiB of memory" in text
    assert f"at most {asking.AT_ONCE} wait" in text
    assert f"After {asking.PATIENCE:g} seconds" in text
    assert f"for {asking.ALONE:g} seconds" in text
    assert f"the last {asking.KEPT}." in text
