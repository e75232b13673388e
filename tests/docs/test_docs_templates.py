"""``docs/templates.md`` is true: its rulesets pass the checker and say what they should, its tables are the code's."""

from __future__ import annotations

import html
import re

import pytest
from dockit import CODE, blocks, page, part, table

from overture.model.pages import Page
from overture.model.pure import Pure
from overture.rules import blocks as together
from overture.rules import inspect, link, lint, load
from overture.rules.template import FILTERS, LOOP
from overture.sandbox.rendering import engine, strikes, wire
from overture.sandbox.rendering.atonce import renderer_now

PAGE = page("templates.md")
ORDERS, BRAND, SHOP = blocks(PAGE, "yaml")
AUSTRIA = {"locale": "de-AT", "timezone": "Europe/Vienna"}
CUSTOMS = table(part(PAGE, "## Dates, money, numbers and plurals").replace(r"\|", "¦"), "written")
YORK = {"locale": "en", "timezone": "America/New_York"}


def said(name: str, *documents: str, **fact: object) -> str:
    rulesets = [load(text) for text in documents]
    template = link(rulesets, 1).template(rulesets[0].name, rulesets[0].revision, name)
    assert template is not None
    data = {"contact": AUSTRIA, "fact": fact, "links": {"preferences": "https://example.com/p"}}
    return renderer_now().render(template.page(), data).text


def test_the_rulesets_pass_the_checker():
    for text in (ORDERS, BRAND, SHOP):
        ruleset, findings = inspect(text, pure=Pure(templates=renderer_now().check))
        assert findings == []
        assert ruleset is not None


def test_they_say_what_they_should():
    items = [{"name": "Chair", "price": 20, "quantity": 2}, {"price": 1.5, "quantity": 1}]
    text = said("thanks", ORDERS, total=120, items=items, starts_at="2026-03-14T23:30:00Z")
    assert " ".join(text.split()) == (
        "Delivery is free. 1. Chair, 40 2. something, 1.5 14 days to send it back, until 15 März 2026. € 120,00"
    )
    text = said("thanks", SHOP, BRAND, total=12)
    assert " ".join(text.split()) == ("Hello! You paid € 12,00. Example Ltd, 1 High Street. https://example.com/p")


def test_filters_and_loops_are_the_codes():
    told = {name for row in table(part(PAGE, "## Filters"), "filter") for name in CODE.findall(row[0])}
    assert told == FILTERS
    assert set(re.findall(r"`loop\.(\w+)`", PAGE)) == LOOP


@pytest.mark.parametrize("row", CUSTOMS, ids=lambda row: row[0])
def test_what_the_filters_say(row: list[str]):
    written, *expected = row
    source = "{{ " + html.unescape(written.strip("`").replace("¦", "|")) + " }}"
    found = [renderer_now().render(Page("t", text=source), {"contact": who}).text for who in (AUSTRIA, YORK)]
    assert [" ".join(each.split()) for each in found] == expected


def test_the_numbers_are_the_codes():
    text = " ".join(PAGE.split())
    for number in (
        f"{wire.MOMENT * 1000:.0f} ms of computing",
        f"{engine.FUEL:,} steps",
        f"{wire.MEMORY >> 20} MB",
        f"{engine.LARGEST:,} characters",
        f"left alone for {strikes.PAUSE:.0f} seconds",
        f"at most {together.LARGEST >> 10} KiB",
        f"more than {lint.SUBJECT} characters",
        f"more than {lint.CLIPPED >> 10} KiB",
    ):
        assert number in text
    assert strikes.MOST == 3
