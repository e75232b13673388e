# ruff: noqa: E501 - one case is one row of a table
"""What two documents mean differently, and that layout, order, comments and descriptions mean nothing."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from test_layout import backwards

from overture.rules.difference import Change, difference
from overture.rules.document import load
from overture.rules.layout import laid_out
from overture.rules.ruleset import Ruleset

ROOT = Path(__file__).parents[2]
SHIPPED = [path for path in sorted((ROOT / "rulesets").glob("*.yaml")) if ".test." not in path.name]

SHOP = """\
apiVersion: overture/v1
kind: Ruleset
name: shop
requires: {channels: [email], scores: [lead]}
facts:
  page_viewed: {path: string}
  bought: {total: number, sku: "string?"}
traits: {city: "string?", vip: "bool?"}
consts: {big: 100}
scores: {spend: {min: 0}, heat: {decay: {half_life: 14d}}, interest: {per: sku}}
lists: {news: {channel: email, purpose: marketing}}
sessions: {idle: 30m}
rules:
  big-order:
    when: fact.type == "bought" and fact.total > consts.big
    once_per: 12h
    then:
      - score: {name: spend, add: = fact.total}
      - set: {vip: true}
      - issue: {kind: voucher, percent: 25}
  join:
    when:
      all:
        - first: fact.type == "page_viewed"
        - second: fact.type == "bought" and fact.sku == first.path
      within: 7d
    then: [{list: {add: news}}]
  new-york:
    while: contact.city == "New York"
    then: [{score: {name: lead, add: 5}}]
segments:
  busy:
    when: count("page_viewed", within="7d", where='fact.path == "/"') >= 3
    on_enter: [{send: {channel: email, template: hello, purpose: marketing}}]
  loyal: {}
templates:
  hello: {subject: Hi, text: Hello}
models: {buys: {predict: fact.type == "bought", within: 9d, features: {vip: contact.vip}}}
choices:
  hero: {variants: [hello, bye], goal: fact.type == "bought", within: 3d}
"""


def changes(old: str, new: str) -> list[Change]:
    assert SHOP.count(old) == 1, old
    return difference(load(SHOP), load(SHOP.replace(old, new)))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.name)
def test_a_document_that_only_looks_different_means_the_same(path: Path) -> None:
    text = path.read_text()
    for other in (text, backwards(text), laid_out(backwards(text)), f"# more\n{text}", text.replace("\n", "\r\n")):
        assert difference(load(text), load(other)) == []


def test_what_says_the_same_in_other_words() -> None:
    same = SHOP.replace("consts.big", "100").replace("requires: {channels: [email]", "requires: {channels: email")
    same = same.replace("half_life: 14d", "half_life: 2w").replace(
        "once_per: 12h", "description: Big.\n    once_per: 720m"
    )
    same = same.replace('fact.type == "page_viewed"\n', "(fact.type == 'page_viewed')\n")
    assert same != SHOP
    assert difference(load(SHOP), load(same)) == []


CASES = {
    "a constant": ("big: 100", "big: 200", "rules", "big-order", "when", 'fact.type == "bought" and fact.total > 100',
        'fact.type == "bought" and fact.total > 200'),
    "once_per": ("once_per: 12h", "once_per: contact", "rules", "big-order", "once_per", "12h", "contact"),
    "once_per goes": ("    once_per: 12h\n", "", "rules", "big-order", "once_per", "12h", None),
    "priority": ("once_per: 12h", "once_per: 12h\n    priority: 3", "rules", "big-order", "priority", 0, 3),
    "true is not 1": ("vip: true", "vip: = 1 == 1", "rules", "big-order", "then",
        [{"score": {"name": "spend", "add": "= fact.total"}}, {"set": {"vip": True}}, {"issue": {"kind": "voucher", "percent": 25}}],
        [{"score": {"name": "spend", "add": "= fact.total"}}, {"set": {"vip": "= 1 == 1"}}, {"issue": {"kind": "voucher", "percent": 25}}]),
    "a join": ("within: 7d\n", "within: 8d\n", "rules", "join", "when",
        {"all": [{"first": 'fact.type == "page_viewed"'}, {"second": 'fact.type == "bought" and fact.sku == first.path'}], "within": "7d"},
        {"all": [{"first": 'fact.type == "page_viewed"'}, {"second": 'fact.type == "bought" and fact.sku == first.path'}], "within": "8d"}),
    "while": ("New York", "Boston", "rules", "new-york", "while", 'contact.city == "New York"', 'contact.city == "Boston"'),
    "a window": ('within="7d"', 'within="today"', "segments", "busy", "when",
        'count("page_viewed", within="7d", where="fact.path == \\"/\\"") >= 3',
        'count("page_viewed", within="today", where="fact.path == \\"/\\"") >= 3'),
    "on_enter": ("purpose: marketing}}]", "purpose: transactional}}]", "segments", "busy", "on_enter",
        [{"send": {"channel": "email", "template": "hello", "purpose": "marketing"}}],
        [{"send": {"channel": "email", "template": "hello", "purpose": "transactional"}}]),
    "a bound": ("spend: {min: 0}", "spend: {}", "scores", "spend", "min", 0, None),
    "a half-life": ("half_life: 14d", "half_life: 7d", "scores", "heat", "half_life", "14d", "7d"),
    "a key": ("per: sku", "per: total", "scores", "interest", "per", "sku", "total"),
    "a list": ("purpose: marketing}}\nsessions", "purpose: news}}\nsessions", "lists", "news", "purpose", "marketing", "news"),
    "sessions": ("idle: 30m", "idle: 1h", "sessions", "", "idle", "30m", "1h"),
    "on_activate": ("idle: 30m}\n", "idle: 30m}\non_activate: apply\n", "on_activate", "", "mode", "silent", "apply"),
    "a field": ("path: string}", "path: string, ref: any}", "facts", "page_viewed", "ref", None, "any"),
    "a trait": ('vip: "bool?"', 'vip: "any"', "traits", "vip", "type", "bool?", "any"),
    "a choice": ("within: 3d}", "within: 4d}", "choices", "hero", "within", "3d", "4d"),
    "a variant": ("[hello, bye]", "{hello: {if: 'contact.vip == True'}, bye: }", "choices", "hero", "variants",
        [{"hello": {}}, {"bye": {}}], [{"hello": {"if": "contact.vip == True"}}, {"bye": {}}]),
    "the best hour": ("hello, purpose: marketing}}]", "hello, purpose: marketing, when: best}}]", "segments", "busy", "on_enter",
        [{"send": {"channel": "email", "template": "hello", "purpose": "marketing"}}],
        [{"send": {"channel": "email", "template": "hello", "purpose": "marketing", "when": "best", "within": "1d"}}]),
    "a model": ("features: {vip: contact.vip}", "features: {vip: contact.city}", "models", "buys", "features",
        {"vip": "contact.vip"}, {"vip": "contact.city"}),
    "a template": ("text: Hello", "text: Good day", "templates", "hello", "text", "Hello", "Good day"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_one_change(case: str) -> None:
    old, new, *expected = CASES[case]
    assert changes(old, new) == [Change("changed", *expected)]


def test_what_comes_and_goes() -> None:
    assert changes("  loyal: {}\n", "  lucky: {}\n") == [
        Change("removed", "segments", "loyal", "", {}, None),
        Change("added", "segments", "lucky", "", None, {}),
    ]
    assert changes("channels: [email],", "channels: [email, webhook],") == [
        Change("added", "requires", "channels.webhook", "", None, {})
    ]
    rule = '  new-york:\n    while: contact.city == "New York"\n    then: [{score: {name: lead, add: 5}}]\n'
    (gone,) = changes(rule, "")
    assert (gone.kind, gone.section, gone.name) == ("removed", "rules", "new-york")
    assert gone.before == {
        "while": 'contact.city == "New York"', "priority": 0, "then": [{"score": {"name": "lead", "add": 5}}]
    }  # fmt: skip


def test_when_becomes_while() -> None:
    kinds = changes('while: contact.city == "New York"', 'when: fact.type == "bought" and contact.city == "New York"')
    assert [(c.facet, c.before is None, c.after is None) for c in kinds] == [
        ("while", False, True),
        ("when", True, False),
    ]


def test_nothing_that_a_ruleset_means_is_left_out() -> None:
    """Each of these has a case above; whoever adds one adds it to the difference too."""
    said = {
        "applies",
        "facts",
        "traits",
        "scores",
        "lists",
        "sessions",
        "rules",
        "whiles",
        "segments",
        "templates",
        "requires",
        "journeys",
        "sending",
        "holdout",
        "forms",
        "choices",
        "scripts",
        "models",
        "blocks",
    }
    assert {field.name for field in fields(Ruleset)} == said | {"name", "revision", "source", "places"}
