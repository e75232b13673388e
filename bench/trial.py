"""`python -m bench.trial`: steps per second of `overture test`: reading a test document, running it, and both."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from statistics import median

from rich.console import Console
from rich.table import Table

from overture.plugin.manager import PluginManager
from overture.rules import load
from overture.settings import shipped_rulesets
from overture.trial.reading import inspect_tests
from overture.trial.suite import run

TESTS = 40  # in one document, which has as many of them as it may be large
ROUNDS = 5
TARGET = 10_000  # steps per second that running must reach


def document() -> tuple[str, int]:
    """A test document of the shipped rulesets, and the number of its steps: facts, expectations, advances."""
    lines = ["tests:"]
    steps = 0
    for n in range(TESTS):
        lines += [f"  - name: t{n}", "    contact: {email: ada@example.com, consent: {email: {marketing: granted}}}"]
        lines.append("    steps:")
        for i in range(10):
            lines += [
                f"      - fact: {{type: page_viewed, path: /sales/{i}, offer: seo}}",
                f"      - expect: {{scores: {{lead: {25 * i + 10}}}, segments: {{qualified: {str(i > 0).lower()}}}}}",
                f"      - fact: {{type: guide_downloaded, guide: g{i}, topic: seo}}",
                f"      - expect: {{scores: {{lead: {25 * i + 25}}}, sent: [{{template: more-on-topic}}]}}",
                "      - advance: 1d",
            ]
            steps += 5
    return "\n".join(lines) + "\n", steps


def rate(steps: int, do: Callable[[], object]) -> float:
    """Steps per second of one core, the median of some rounds."""
    took: list[float] = []
    for _ in range(ROUNDS):
        began = time.process_time()
        do()
        took.append(time.process_time() - began)
    return steps / median(took)


def main() -> int:
    text, steps = document()
    rulesets = [
        load(path.read_text("utf-8")) for path in shipped_rulesets().glob("*.yaml") if ".test." not in path.name
    ]
    library = {ruleset.name: ruleset for ruleset in rulesets}
    plugins = PluginManager()
    plugins.load()
    named = plugins.channel_names({})
    trials, findings = inspect_tests(text)
    assert not findings, findings

    def all_of_them() -> None:
        result = run(library["seo_guide"], trials, library, plugins.addresses(named), named)
        assert result.passed, result

    gc.freeze()  # as the command does
    running = rate(steps, all_of_them)
    reading = rate(steps, lambda: inspect_tests(text))
    table = Table("overture test", "steps/s of one core")
    table.add_row("reading the document (YAML with places)", f"{reading:,.0f}")
    table.add_row("running: link, compile, decide, compare", f"{running:,.0f}")
    both = 1 / (1 / reading + 1 / running)
    table.add_row("both, one after the other", f"{both:,.0f}")
    console = Console()
    console.print(f"{steps} steps in {len(trials)} tests, {len(text) >> 10} KiB")
    console.print(table)
    console.print(f"running ≥ {TARGET:,}: {'met' if running >= TARGET else 'MISSED'}")
    return 0 if running >= TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
