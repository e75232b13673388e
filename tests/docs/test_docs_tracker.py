"""``docs/tracking.md`` is true: its calls, attributes and numbers are those of the script and the code."""

from __future__ import annotations

import re

from dockit import ROOT, blocks, code, page, part, table

from overture.delivery.trails import LONGEST, OFF
from overture.node import apikeys, trails
from overture.plugin import agent_of
from overture.rules.scope import BUILT_IN
from overture.settings import Settings
from overture.state.log import DEDUPE_MS
from overture_sources import tracker

PAGE = page("tracking.md")
SCRIPT = (ROOT / "plugins/sources/overture_sources/tracker.js").read_text()
WORDS = " ".join(PAGE.split())


def test_the_calls_and_attributes_are_the_scripts():
    calls = {re.findall(r'overture\("(\w+)"', row[0])[0] for row in table(PAGE, "call")}
    (known,) = re.findall(r"const calls = {(.*?)\n  };", SCRIPT, re.DOTALL)
    assert calls == set(re.findall(r"^    (\w+):", known, re.MULTILINE))
    attributes = {
        code(row[0]).partition("=")[0].removeprefix("data-") for row in table(PAGE, "attribute of the script")
    }
    assert attributes == set(re.findall(r"\bown\.(\w+)", SCRIPT))


def test_the_snippet_loads_the_script():
    (snippet,) = blocks(PAGE, "html")
    assert "/t.js" in snippet
    assert "overture.q" in snippet


def test_the_numbers_of_the_script():
    assert len(tracker.script().packed) <= 1_536
    assert tracker.CACHED == 3_600
    assert "slice(-500)" in SCRIPT
    assert "for almost six days" in WORDS
    assert "< 5e8" in SCRIPT
    assert DEDUPE_MS > 5e8
    assert f"remembered for {'seven'} days" in WORDS
    assert DEDUPE_MS == 7 * 86_400_000


def test_the_numbers_of_the_code():
    assert f"{apikeys.BROWSER_RATE:,.0f} facts a second" in WORDS
    assert apikeys.BURST == 5
    assert "Five seconds' worth" in WORDS
    assert f"addresses over {LONGEST:,} characters" in WORDS
    assert f'`{OFF}="off"`' in WORDS
    assert trails.BOX == 0.5
    assert trails.TRIES * trails.AGAIN == 60
    assert trails.AT_ONCE == 2_000


def test_the_settings_of_the_page_are_good():
    (variable,) = re.findall(r"`(OVERTURE_TRACKING)=(\S+)`", PAGE)
    assert Settings.load(dict([variable])).tracking["email"].opens


def test_the_properties_are_those_that_rules_know():
    for row in table(part(PAGE, "## Mails"), "fact"):
        told = set(re.findall(r"`(\w+)`", PAGE.partition("| fact | properties |")[2].partition("These are")[0]))
        assert set(BUILT_IN[code(row[0])]) <= told


def test_machines_are_told_as_the_page_says():
    agents = {"gmail": "x (via ggpht.com GoogleImageProxy)", "yahoo": "YahooMailProxy; x", "apple": "Mozilla/5.0"}
    rows = table(part(PAGE, "### Machines"), "who")
    for name, agent in agents.items():
        (row,) = [row for row in rows if f"`proxy: {name}`" in row[1]]
        assert agent_of(agent).proxy == name
        assert agent_of(agent).machine is (row[2] == "true")
    assert agent_of("curl/8.5.0").machine
