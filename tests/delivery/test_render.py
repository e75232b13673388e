from __future__ import annotations

import pytest

from overture.model.pages import Page, RenderRefused
from overture.sandbox.rendering.atonce import renderer_now

CONTEXT = {
    "contact": {"name": "<Ada & Co>", "score": 40.0, "empty": None, "tags": ["a", "b"]},
    "fact": {"total": 12.5, "line": "a\r\nBcc: evil@example.com\x00\u2028x"},
}


def refused(**fields: str) -> RenderRefused:
    with pytest.raises(RenderRefused) as caught:
        renderer_now().render(Page("guide", **fields), CONTEXT)
    return caught.value


def test_html_is_escaped_and_text_is_not():
    template = Page(
        "guide",
        "Hi {{ contact.name }}",
        "Dear {{ contact.name }}",
        "<p title='{{ contact.name }}'>{{ fact.total }}</p>",
    )
    out = renderer_now().render(template, CONTEXT)
    assert out.subject == "Hi <Ada & Co>"
    assert out.text == "Dear <Ada & Co>"
    assert out.html == "<p title='&lt;Ada &amp; Co&gt;'>12.5</p>"


def test_a_field_that_is_not_there_is_empty():
    out = renderer_now().render(Page("guide", text="x"), CONTEXT)
    assert (out.subject, out.text, out.html) == ("", "x", "")


def test_the_subject_is_one_line():
    out = renderer_now().render(Page("guide", "A {{ fact.line }}\n B"), CONTEXT)
    assert out.subject == "A a Bcc: evil@example.com x B"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("{{ contact.last_name }}", "contact.last_name"),
        ("{{ contact.empty }}", "contact.empty"),
        ("{{ nobody }}", "nobody"),
        ("{{ fact.a.b }}", "fact.a"),
        ("{% if contact.x %}y{% endif %}", "contact.x"),
        ("{% for x in contact.orders %}{{ x }}{% endfor %}", "contact.orders"),
        ("{{ fact.total + contact.x }}", "contact.x"),
        ("{{ contact.__class__ }}", "contact.__class__"),
        ("{{ debug() }}", "debug"),
    ],
)
@pytest.mark.parametrize("field", ["subject", "text", "html"])
def test_a_missing_variable_refuses_the_message_by_name(field: str, source: str, name: str):
    error = refused(**{field: source})
    assert error.code in ("template.missing_variable", "template.failed")
    assert name in error.message
    assert field in error.message


def test_missing_names_the_code_and_the_place():
    error = refused(text="Hello\n{{ contact.last_name }}")
    assert error.code == "template.missing_variable"
    assert error.message == "The text of the template guide needs contact.last_name (line 2), which has no value."
    assert "default" in error.hint


def test_a_default_stands_in():
    assert renderer_now().render(Page("guide", text="{{ contact.last_name | default('you') }}"), CONTEXT).text == "you"
    assert renderer_now().render(Page("guide", text="{{ contact.empty | default('you') }}"), CONTEXT).text == "you"


def test_whole_numbers_print_as_people_write_them():
    assert renderer_now().render(Page("guide", text="{{ contact.score }} points"), CONTEXT).text == "40 points"


def test_endless_loops_run_out_of_steps():
    some = "[" + "1, " * 200 + "1]"
    loop = f"{{% for i in {some} %}}" * 3 + "x" + "{% endfor %}" * 3
    assert refused(text=loop).code == "template.too_costly"


def test_large_results_are_refused():
    assert refused(text="{{ 'x' * " + str(262145) + " }}").code == "template.too_large"


@pytest.mark.parametrize(
    "source", ["{{ contact.name", "{% include 'other' %}", "{{ 1 / 0 }}", "{{ contact.name | nofilter }}", "{% bad %}"]
)
def test_a_broken_template_is_a_refusal_with_a_sentence(source: str):
    error = refused(html=source)
    assert error.code == "template.failed"
    assert error.message.startswith("The html of the template guide cannot be rendered (line 1): ")


def test_the_data_is_a_copy_of_plain_types():
    class Live(dict[str, str]):
        def secret(self) -> str:
            raise AssertionError("a template called a method of a host object")

    context = {"contact": Live(name="Ada"), "fact": {"odd": "\ud800"}}
    with pytest.raises(RenderRefused):
        renderer_now().render(Page("guide", text="{{ contact.secret() }}"), context)
    assert renderer_now().render(Page("guide", text="{{ contact.name }}{{ fact.odd }}"), context).text == "Ada?"
    template = Page("guide", subject="{{ contact.update({'name': 'Eve'}) }}", text="{{ contact.name }}")
    assert renderer_now().render(template, context).text == "Ada"
    assert context["contact"]["name"] == "Ada"
