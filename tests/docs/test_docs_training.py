"""``docs/training.md`` names the options and the figures of the code."""

from __future__ import annotations

import inspect

from dockit import CODE, page, table

from overture.cli.training import train
from overture.training import examples, measure, split

PAGE = page("training.md")


def test_the_options_and_the_figures_are_the_codes() -> None:
    options = {CODE.findall(row[0])[0] for row in table(PAGE, "option")}
    named = {"as_json": "--json"}
    parameters = [p for p in inspect.signature(train).parameters if p not in ("files", "url")]
    assert options == {named.get(name, f"--{name}") for name in parameters}
    fewest = split.LEAST
    assert f"({fewest['fitting']} to fit, {fewest['calibration']} each to calibrate and to test)" in PAGE
    assert fewest["calibration"] == fewest["test"]
    assert split.HELD == 0.2, "the last fifth"
    assert f"more than {examples.MOST:,} examples" in PAGE
    assert f"{measure.ROUNDS} times" in PAGE
