# ruff: noqa: E501 - one template is one row
"""Templates that want out, or want the machine to themselves: (what it tries, the field, its source).

They go past the check of rulesets, which refuses most of them by name, straight to the renderer.
"""

from __future__ import annotations


def _nested(element: str, times: int) -> str:
    return f"<mjml><mj-body>{f'<{element}>' * times}{f'</{element}>' * times}</mj-body></mjml>"


def _page(inside: str, head: str = "") -> str:
    body = f"<mj-section><mj-column>{inside}</mj-column></mj-section>"
    return f"<mjml><mj-head>{head}</mj-head><mj-body>{body}</mj-body></mjml>"


MANY = "[" + "1," * 900 + "1]"
DOUBLED = "{% set a = a ~ a %}"

TEXTS = {
    # out of the engine, into the objects behind the values
    "class of a text": "{{ ''.__class__ }}",
    "all classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "class by attr": "{{ contact.name | attr('__class__') }}",
    "class by subscript": "{{ contact['__class__'] }}",
    "class of the contact": "{{ contact.__class__.__base__.__subclasses__() }}",
    "globals of a filter": "{{ date.__globals__ }}",
    "globals of a function": "{{ range.__globals__['os'].popen('id').read() }}",
    "builtins by namespace": "{{ namespace.__init__.__globals__.__builtins__ }}",
    "self": "{{ self.__init__.__globals__ }}",
    "the state": "{{ state.env }}",
    "lipsum": "{{ lipsum.__globals__['os'] }}",
    "cycler": "{{ cycler.__init__.__globals__.os }}",
    "joiner": "{{ joiner.__init__.__globals__.os }}",
    "import": "{% import 'os' as os %}{{ os.environ }}",
    "from import": "{% from 'os' import environ %}{{ environ }}",
    "a module by name": "{{ __import__('os') }}",
    "format of a text": "{{ '{0.__class__}'.format(contact) }}",
    "format filter": "{{ '%s' | format(contact) }}",
    "percent": "{{ '%(x)s' % contact }}",
    "debug": "{{ debug() }}",
    # methods of the data
    "clears the contact": "{{ contact.clear() }}{{ contact.name }}",
    "updates the contact": "{{ contact.update({'name': 'Eve'}) }}{{ contact.name }}",
    "pops from the fact": "{{ fact.pop('at') }}",
    "appends to a list": "{{ contact.tags.append('x') }}",
    "grows a list for ever": "{% for x in contact.tags %}{{ contact.tags.append(x) }}{% endfor %}",
    "sorts with a key": "{{ contact.tags.sort(key=print) }}",
    "a list in itself": "{{ contact.tags.append(contact.tags) }}{{ contact.tags }}",
    "a contact in itself": "{{ contact.update({'me': contact}) }}{{ contact }}",
    "setdefault": "{{ contact.setdefault('x', contact) }}{{ contact.x.x.x }}",
    # files
    "includes a file": "{% include '/etc/passwd' %}",
    "includes upwards": "{% include '../../../../etc/passwd' %}",
    "extends a file": "{% extends '/etc/passwd' %}",
    "includes its own": "{% include 'text' %}",
    "extends its own": "{% extends 'text' %}",
    "includes a list": "{% include ['text', 'html'] %}",
    # memory
    "doubles 25 times": "{% set a = 'xxxxxxxx' %}" + DOUBLED * 25 + "{{ a }}",
    "doubles 40 times": "{% set a = 'xxxx' %}" + DOUBLED * 40 + "{{ a }}",
    "doubles in a loop": f"{{% set n = namespace(a='x') %}}{{% for i in {MANY} %}}{{% set n.a = n.a ~ n.a %}}{{% endfor %}}",
    "repeats a text": "{{ 'x' * 99999999999 }}",
    "repeats just so much": "{{ 'x' * 200000000 }}",
    "repeats again and again": "{{ (('x' * 9999) * 9999) * 9999 }}",
    "repeats a list": "{{ [1] * 999999999 }}",
    "replaces with more": "{{ 'aaaaaaaa' | replace('a', 'aaaaaaaaaaaaaaaa') "
    + "| replace('a', 'aaaaaaaaaaaaaaaa') " * 9
    + "}}",
    "pads": "{{ 'x' | center(999999999) }}",
    "indents": "{{ 'x\ny' | indent(999999999) }}",
    "decimals without end": "{{ 1 | number(999999999) }}",
    "rounds to no end": "{{ 1.5 | round(99999999999999) }}",
    "slices into millions": "{{ contact.tags | slice(999999999) | list }}",
    "batches into millions": "{{ contact.tags | batch(999999999, 'x') | list }}",
    "joins with much": f"{{{{ {MANY} | join('{'x' * 900}') }}}}",
    # time
    "a loop over much": "{% for i in range(1000000000) %}{{ i }}{% endfor %}",
    "loops in loops": f"{{% for i in {MANY} %}}" * 3 + "x" + "{% endfor %}" * 3,
    "loops that sort": f"{{% for i in {MANY} %}}{{{{ {MANY} | sort | join }}}}" * 2 + "{% endfor %}" * 2,
    "a loop that goes into itself": "{% for x in contact.tree recursive %}{{ loop(contact.tree) }}{% endfor %}",
    "macros that call themselves": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "macros by twos": "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "powers": "{{ 9 ** 9 ** 9 ** 9 }}",
    "powers of powers": "{{ 99999999999 ** 99999999999 }}",
    "plurals of much": "{{ 999999999999999999999999 | plural(other='#') }}",
    "dates in a long loop": f"{{% for i in {MANY} %}}{{{{ fact.at | datetime('full') }}}}{{% endfor %}}" * 9,
    "a format that is none": "{{ fact.at | date('" + "yMMMMdEEEEzzzz" * 7 + "') }}",
    "letters of formats": "{{ fact.at | date('QQQQwWDFgkKAvVXxZOBbceLlpu') }}",
    "a format with quotes": "{{ fact.at | date(\"'''''''''\") }}",
    "a date of no calendar": "{{ '9999-12-31T23:59:59-14:00' | date('full', 'Pacific/Kiritimati') }}",
    "a zone that is a file": "{{ fact.at | date('full', '../../../../etc/passwd') }}",
    "a currency that is code": "{{ 1 | money('__import__') }}",
    # the parser
    "minus signs": "{{ " + "-" * 30_000 + "1 }}",
    "nots": "{{ " + "not " * 7_000 + "1 }}",
    "parentheses": "{{ " + "(" * 9_000 + "1" + ")" * 9_000 + " }}",
    "lists in lists": "{{ " + "[" * 9_000 + "]" * 9_000 + " }}",
    "objects in objects": "{{ " + "{'a':" * 5_000 + "1" + "}" * 5_000 + " }}",
    "filters after filters": "{{ 1 " + "| string " * 3_000 + "}}",
    "dots": "{{ contact" + ".a" * 9_000 + " }}",
    "conditions in conditions": "{% if 1 %}" * 2_500 + "{% endif %}" * 2_500,
    "loops opened": "{% for i in [1] %}" * 1_500 + "{% endfor %}" * 1_500,
    "choices in choices": "{{ " + "1 if 1 else " * 2_500 + "1 }}",
    "sums": "{{ 1" + " + 1" * 8_000 + " }}",
    "no end": "{{ contact.name",
    "an odd text": "{{ '\\ud800' }}{{ '\\x00' }}",
    "not a letter of this world": "{{ \U000e0041\U000e0042 }}",
}
MARKUP = {
    "elements in elements": _nested("mj-wrapper", 3_000),
    "html in html": _nested("div", 8_000),
    "sections without end": "<mjml><mj-body>" + "<mj-section>" * 2_500,
    "comments that do not end": "<mjml><mj-body>" + "<!--" * 8_000,
    "quotes that do not end": "<mjml><mj-body><mj-text a=\"" * 1_200,
    "attributes": _page("<mj-text " + " ".join(f'a{i}="{i}"' for i in range(3_000)) + ">x</mj-text>"),
    "an entity that grows": '<!DOCTYPE x [<!ENTITY a "xxxxxxxx"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>' + _page("<mj-text>&b;</mj-text>"),
    "an entity of a file": '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + _page("<mj-text>&a;</mj-text>"),
    "mj-include": _page('<mj-include path="/etc/passwd" />'),
    "mj-include of css": _page("", '<mj-include path="file:///etc/passwd" type="css" />'),
    "a style that is imported": _page("<mj-text>x</mj-text>", "<mj-style>@import url('file:///etc/passwd');</mj-style>"),
    "a style of braces": _page("<mj-text>x</mj-text>", "<mj-style>" + "a{" * 9_000 + "</mj-style>"),
    "a style made inline": _page("<mj-text>x</mj-text>", "<mj-style inline='inline'>" + ":not(" * 5_000 + "</mj-style>"),
    "widths of no measure": _page('<mj-image src="x" width="99999999999999999999px" />'),
    "widths below nothing": _page('<mj-image src="x" width="-1px" /><mj-divider width="-9999%" />'),
    "columns": "<mjml><mj-body><mj-section>" + "<mj-column></mj-column>" * 1_000 + "</mj-section></mj-body></mjml>",
    "a carousel": _page("<mj-carousel>" + '<mj-carousel-image src="x" />' * 700 + "</mj-carousel>"),
    "an empty carousel": _page("<mj-carousel></mj-carousel>"),
    "attributes for all": _page("<mj-text>x</mj-text>" * 200, "<mj-attributes>" + '<mj-all padding="1px" />' * 600 + "</mj-attributes>"),
    "not even one element": "\x00\x00\x00",
    "a loop of sections": "<mjml><mj-body>{% for i in " + MANY + " %}" + "<mj-section></mj-section>" * 50 + "{% endfor %}</mj-body></mjml>",
}  # fmt: skip
DATA = {
    "deep": '{"a": ' * 3_000 + "1" + "}" * 3_000,
    "deep lists": '{"a": ' + "[" * 20_000 + "]" * 20_000 + "}",
    "a number of many digits": '{"a": ' + "9" * 30_000 + "}",
    "a large exponent": '{"a": 1e999999999}',
    "the same key": "{" + '"a": 1,' * 4_000 + '"a": 2}',
    "NaN": '{"a": NaN}',
    "half a character": '{"a": "\\ud800"}',
    "a value that brings a key": '{"a": "{{ fact.evil }}"}',
}

CORPUS = [
    *((what, "text", source) for what, source in TEXTS.items()),
    *((what, "mjml", source) for what, source in MARKUP.items()),
    *((what, "data", source) for what, source in DATA.items()),
]
CONTEXT = {
    "contact": {"name": "Ada", "tags": ["a", "b"], "tree": [1], "timezone": "Europe/Vienna", "secret": "s3cret"},
    "fact": {"at": "2026-03-01T12:00:00Z", "evil": '", "admin": true, "x": "'},
}
