"""The data of a template is JSON, whatever a contact or a fact says."""

from __future__ import annotations

import json

import pytest

from overture.model.pages import Page, RenderRefused
from overture.sandbox.rendering.atonce import renderer_now

EVIL = '", "admin": true, "x": "\\ \n </script> {{ fact.order }}'


def data(source: str, **fact: object) -> dict[str, object]:
    return renderer_now().render(Page("guide", text="x", data=source), {"fact": fact}).data


def test_values_are_whole_values():
    source = '{"a": {{ fact.a }}, "b": {{ fact.b }}, "c": [{{ fact.c }}, {{ fact.c|upper }}], "d": {{ fact.d }}}'
    told = data(source, a=EVIL, b=3.0, c="x", d={"deep": [1, None, True]})
    assert told == {"a": EVIL, "b": 3, "c": ["x", "X"], "d": {"deep": [1, None, True]}}
    assert json.dumps(told["b"]) == "3"


def test_texts_are_put_together_inside():
    told = data('{"url": {{ "https://example.com/o/" + fact.order|urlencode }}}', order=EVIL)
    assert told["url"] == "https://example.com/o/" + str(told["url"]).partition("/o/")[2]
    assert '"' not in str(told["url"])


@pytest.mark.parametrize("source", ['{"a": "{{ fact.a }}"}', "[{{ fact.a }}]", '{"a": NaN}', '{"a": }', "{{ fact.a }}"])
def test_what_is_no_object_refuses_the_message(source: str):
    with pytest.raises(RenderRefused) as caught:
        data(source, a="x")
    assert caught.value.code == "template.data"


def test_a_missing_value_is_missing_here_too():
    with pytest.raises(RenderRefused) as caught:
        data('{"a": {{ fact.a }}}')
    assert caught.value.code == "template.missing_variable"
    assert data('{"a": {{ fact.a|default("-") }}}') == {"a": "-"}
    assert renderer_now().render(Page("guide", text="x"), {}).data == {}
