"""What passes the check of templates renders; what could do harm does not pass."""

from __future__ import annotations

import minijinja
import pytest

from overture.rules.document import inspect
from overture.rules.template import FILTERS

HEAD = "apiVersion: overture/v1\nkind: Ruleset\nname: t\ntraits: {name: string, nick: 'string?', n: number}\n"


def findings(template: str) -> list[str]:
    body = "\n".join("      " + line for line in template.split("\n"))
    _, found = inspect(f"{HEAD}templates:\n  t:\n    text: |\n{body}\n")
    return [d.code for d in found]


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_every_allowed_filter_is_one_of_the_engine(name: str) -> None:
    argument = "('x')" if name in ("default", "d") else ""
    value = "contact.n" if name in ("abs", "round", "int", "float") else "contact.name"
    source = f"{{{{ {value} | {name}{argument} }}}}"

    assert findings(source) == []
    assert minijinja.Environment().render_str(source, contact={"name": "Ada", "n": 2.5})


@pytest.mark.parametrize(
    "source",
    [
        "plain text with } and { and % }",
        "{{ contact.name }} {{- contact.scores.lead -}} {{ contact['name'] }} {{ contact.segments[0] }}",
        "{% if contact.n > 3 and not fact.x is defined %}a{% elif fact.y in ['a', \"}}\"] %}b{%- else -%}c{% endif %}",
        "{{ contact.nick | default('there') }} {% if contact.nick is defined %}x{% endif %}",
        "{{ 'a' if contact.n is none else -contact.n + 1 }} {# for, include, * and ~ are nothing here #}",
        "{{ issued.voucher.code }} {{ fact.amount / 100 | round(2) }}",
    ],
)
def test_what_is_allowed(source: str) -> None:
    assert findings(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "{% for x in range(9) %}{% endfor %}",
        "{%for x in y%}{%endfor%}",
        "{%- set a = 1 %}",
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
        "{{ contact.name * 9 }}",
        "{{ 9 ** 9 }}",
        "{{ contact.name ~ contact.name }}",
        "{{ contact.name.upper() }}",
        "{{ contact['name'].upper() }}",
        "{{ contact['upper']() }}",
        "{{ (contact.name)() }}",
        "{{ contact.name | upper()() }}",
        "{{ contact.name | safe }}",
        "{{ contact.name | replace('a', 'aaaa') }}",
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
        "{{ self.x }}",
        "{{ loop.index }}",
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
    assert all(code.startswith("template.") for code in found)
