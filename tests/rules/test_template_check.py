"""What passes the check of templates renders; what could do harm does not pass."""

from __future__ import annotations

import json

import pytest

from overture.model.pages import Page
from overture.model.pure import Pure
from overture.rules.document import inspect
from overture.rules.template import FILTERS
from overture.sandbox.rendering.atonce import renderer_now

HEAD = "apiVersion: overture/v1\nkind: Ruleset\nname: t\ntraits: {name: string, nick: 'string?', n: number}\n"


def findings(template: str) -> list[str]:
    body = "\n".join("      " + line for line in template.split("\n"))
    _, found = inspect(f"{HEAD}templates:\n  t:\n    text: |\n{body}\n", pure=Pure(templates=renderer_now().check))
    return [d.code for d in found]


SAMPLES = {
    "contact.n": ("abs", "float", "int", "round", "money('EUR')", "number", "percent", "plural(one='#', other='#s')"),
    "fact.at": ("date", "datetime('short', 'Europe/Vienna')", "time"),
    "[3, 1]": ("join(', ')", "list", "max", "min", "reverse", "sort", "sum", "unique"),
    "contact.scores": ("items",),
    "contact.name": ("default('x')", "d('x')", "replace('a', 'b')", *FILTERS),
}


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_every_allowed_filter_is_one_of_the_engine(name: str) -> None:
    value, call = next((v, c) for v, calls in SAMPLES.items() for c in calls if c.partition("(")[0] == name)
    source = f"{{{{ {value} | {call} }}}}"
    data = {"contact": {"name": "Ada", "n": 2.5, "scores": {"a": 1}}, "fact": {"at": "2026-03-01T12:00:00Z"}}

    assert findings(source) == []
    assert renderer_now().render(Page("t", text=source), data).text


@pytest.mark.parametrize(
    "source",
    [
        "plain text with } and { and % }",
        "{{ contact.name }} {{- contact.scores.lead -}} {{ contact['name'] }} {{ contact.segments[0] }}",
        "{% if contact.n > 3 and not fact.x is defined %}a{% elif fact.y in ['a', \"}}\"] %}b{%- else -%}c{% endif %}",
        "{{ contact.nick | default('there') }} {% if contact.nick is defined %}x{% endif %}",
        "{{ 'a' if contact.n is none else -contact.n + 1 }} {# for, include, * and ~ are nothing here #}",
        "{{ links.confirm }} {{ links.unsubscribe }} {{ links.preferences }}",
        "{{ issued.voucher.code }} {{ fact.amount / 100 | round(2) }}",
        "{{ fact.price * 3 ~ ' €' }} {{ zone }} {{ locale }}",
        "{% for x in fact.items if x.price > 3 %}{{ loop.index }}. {{ x.name }}{% else %}none{% endfor %}",
        "{% for kind, n in contact.scores | items %}{{ kind }}: {{ n }}{% endfor %}",
        "{% set total = fact.price * 2 %}{% if total > 9 %}{% set total = 9 %}{% endif %}{{ total }}",
    ],
)
def test_what_is_allowed(source: str) -> None:
    assert findings(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "{% for x in range(9) %}{% endfor %}",
        "{%for x in y%}{%endfor%}",
        "{% set a %}x{% endset %}",
        "{% macro m() %}{% endmacro %}",
        "{% import 'x' as y %}",
        "{% from 'x' import y %}",
        "{% include 'x' %}",
        "{% extends 'x' %}",
        "{% block a %}{% endblock %}",
        "{% call m() %}{% endcall %}",
        "{% filter upper %}{% endfilter %}",
        "{% raw %}{{ 1 }}{% endraw %}",
        "{% autoescape false %}{% endautoescape %}",
        "{% with a = 1 %}{% endwith %}",
        "{% do x() %}",
        "{{ 9 ** 9 }}",
        "{{ contact.name.upper() }}",
        "{{ contact['name'].upper() }}",
        "{{ contact['upper']() }}",
        "{{ (contact.name)() }}",
        "{{ contact.name | upper()() }}",
        "{{ contact.name | safe }}",
        "{{ contact.name | format }}",
        "{{ contact.name is sequence }}",
        "{{ range(9) }}",
        "{{ debug() }}",
        "{{ namespace() }}",
        "{{ contact.__class__ }}",
        "{{ {'a': 1} }}",
        "{{ -" + "-" * 400 + "1 }}",
        "{{ " + "(" * 30 + "1" + ")" * 30 + " }}",
        "{{ contact }}",
        "{% set contact = 1 %}",
        "{% set zone = 1 %}",
        "{% for fact in contact.segments %}{% endfor %}",
        "{% for x in contact.segments %}{% endfor %}{{ x }}",
        "{% for x in x %}{{ x }}{% endfor %}",
        "{% if contact.n %}{% set y = 1 %}{% endif %}{{ y }}",
        "{% for x in contact.segments %}{% set y = 1 %}{% else %}{{ y }}{% endfor %}",
        "{% for x in contact.segments recursive %}{{ x }}{% endfor %}",
        "{{ loop.index }}",
        "{% for x in contact.segments %}{{ loop.cycle(1, 2) }}{% endfor %}",
        "{% set x = y %}",
        "{% for x in contact.segments %}{% endif %}",
        "{% extends contact.name %}",
        "{% include 'x' ignore missing %}",
        "{{ self.x }}",
        "{{ contact.name",
        "{{ 'unclosed }}",
        "{% if contact.n %}",
        "{% endfor %}",
        "{% if contact.n %}{% endif %}" * 101,
        "{% if contact.n %}" + "{% elif contact.n %}" * 300 + "{% endif %}",
        "x" * 32769,
    ],
)
def test_what_is_not(source: str) -> None:
    found = findings(source)
    assert found
    assert all(code.startswith(("template.", "block.")) for code in found)


SENT = """
requires: {channels: [email]}
facts: {a: {x: string, o: "string?"}, b: {x: string}}
rules:
  r:
    when: fact.type in ["a", "b"]
    then: [{issue: {kind: voucher}}, {send: {channel: email, template: t, purpose: marketing}}]
"""


@pytest.mark.parametrize(
    ("source", "codes"),
    [
        ("{{ fact.x }} {{ fact['x'] }} {{ fact.type }} {{ fact.id }} {{ fact.occurred_at }}", []),
        ("{{ issued.voucher.code }}", []),
        ("{{ fact.o }}", ["template.unknown_variable"]),
        ("{{ fact.o | default('-') }} {{ fact.z | d('-') }}", []),
        # a default does not help where what is above is missing: the engine refuses that
        ("{{ issued.other.code | default('') }}", ["template.may_be_missing"]),
        ("{% if issued.other is defined %}{{ issued.other.code }}{% endif %}", []),
        ("{% if fact.o is defined %}{{ fact.o }}{% endif %}", []),
        ("{% if fact.o is defined and fact.x == 'y' %}{{ fact.o }}{% endif %}", []),
        ("{% if fact.o is defined and fact.o == 'y' %}{{ fact.x }}{% endif %}", []),
        ("{% if fact.o is undefined %}-{% else %}{{ fact.o }}{% endif %}", []),
        ("{% if not fact.o is defined %}-{% else %}{{ fact.o }}{% endif %}", []),
        ("{% if fact.o is not defined %}-{% elif fact.x == 'y' %}{{ fact.o }}{% else %}{{ fact.o }}{% endif %}", []),
        ("{% if fact.o is defined %}{% if fact.x == 'y' %}{{ fact.o }}{% endif %}{% endif %}", []),
        ("{{ fact.o if fact.o is defined else '-' }}", []),
        ("{% if fact.o is defined %}{% endif %}{{ fact.o }}", ["template.unknown_variable"]),
        ("{% if fact.o is defined %}-{% else %}{{ fact.o }}{% endif %}", ["template.unknown_variable"]),
        ("{% if contact.nick is defined %}{{ contact.nick }}{% endif %}", []),
        ("{% if contact.nick is defined or contact.n %}{{ contact.nick }}{% endif %}", ["template.may_be_missing"]),
        ("{{ contact['nick'] }}", ["template.may_be_missing"]),
        ("{{ contact['nock'] }}", ["template.unknown_variable"]),
    ],
)
def test_a_template_is_held_to_the_rules_that_send_it(source: str, codes: list[str]) -> None:
    text = f"{HEAD}{SENT}templates: {{t: {{subject: Hi, text: {json.dumps(source)}}}}}\n"
    assert [d.code for d in inspect(text)[1]] == codes
