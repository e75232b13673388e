"""``docs/backtest.md`` is true: the parts of an answer and the numbers are those of the code."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.request import Request, urlopen

from dockit import PATIENCE, ROOT, Running, code, page, part, table

from overture.backtest import jobs
from overture.backtest.aside import MEMORY, NICE
from overture.backtest.job import KEPT, KEPT_MS
from overture.backtest.report import DETAILED, SHOWN
from overture.backtest.tally import ROWS

PAGE = page("backtest.md")


def call(running: Running, path: str, body: bytes | None = None) -> Any:
    headers = {"Authorization": f"Bearer {running.admin}"}
    with urlopen(Request(running.url + path, data=body, headers=headers)) as answer:
        return json.load(answer)


def test_the_parts_of_an_answer(running: Running):
    body = (ROOT / "rulesets" / "seo_guide.yaml").read_bytes()
    job = call(running, "/v1/rulesets/seo_guide/backtest", body)
    deadline = time.monotonic() + PATIENCE
    while job["state"] in ("waiting", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
        job = call(running, f"/v1/backtests/{job['id']}")
    assert job["error"] is None
    summary = job["summary"]
    told = {code(row[0]): row[1] for row in table(part(PAGE, "## The answer"), "part")}
    assert set(told) == set(summary)
    for name in ("facts", "contacts", "baseline"):
        where = PAGE if name == "facts" else told[name]
        assert all(f"`{key}`" in where for key in summary[name])


def test_the_numbers():
    text = " ".join(PAGE.split())
    assert f"(nice {NICE})" in text
    assert f"{MEMORY >> 30} GiB of memory" in text
    assert f"At most {jobs.AT_ONCE} wait or run" in text
    assert f"The last {KEPT} answers" in text
    assert f"for {KEPT_MS // 86_400_000} days" in text
    assert f"The {DETAILED:,} contacts with the most differences" in text
    assert SHOWN == ROWS
    assert f"at most {SHOWN} are shown" in text
