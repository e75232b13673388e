"""Templates in MJML: what comes out is HTML, and no value of a contact can bring elements along."""

from __future__ import annotations

from html import unescape
from pathlib import Path

import pytest

from overture.model.pages import Page, Piece, RenderRefused
from overture.sandbox.rendering.atonce import renderer_now

EVIL = """</mj-text><mj-raw><script>alert('x')</script></mj-raw><mj-text>" onclick="x" {{ contact.name }} &lt;b>"""


def page(inside: str, head: str = "") -> str:
    body = f"<mj-section><mj-column>{inside}</mj-column></mj-section>"
    return f"<mjml><mj-head>{head}</mj-head><mj-body>{body}</mj-body></mjml>"


def rendered(mjml: str, **contact: object) -> str:
    return renderer_now().render(Page("guide", text="x", mjml=mjml), {"contact": contact}).html


def test_mjml_becomes_html():
    html = rendered(page("<mj-text>Hi {{ contact.name }}</mj-text><mj-button href='{{ contact.url }}'>Go</mj-button>"),
                    name="Ada", url="https://example.com/?a=1&b=2")  # fmt: skip
    assert html.lower().startswith("<!doctype html>")
    assert ">Hi Ada<" in html
    assert 'href="https://example.com/?a=1&b=2"' in unescape(html)
    assert "<mj" not in html


def test_a_template_with_html_alone_is_left_as_it_is():
    assert renderer_now().render(Page("guide", html="<mj-text>x</mj-text>"), {}).html == "<mj-text>x</mj-text>"


@pytest.mark.parametrize(
    "mjml",
    [
        page("<mj-text>{{ contact.name }}</mj-text>"),
        page('<mj-button href="{{ contact.name }}">x</mj-button>'),
        page("<mj-image src='{{ contact.name }}' alt='{{ contact.name }}' />"),
        page('<mj-text padding="{{ contact.name }}">x</mj-text>'),
        page("<mj-table><tr><td>{{ contact.name }}</td></tr></mj-table>"),
        page("<mj-raw>{{ contact.name }}</mj-raw>"),
        page("", "<mj-title>{{ contact.name }}</mj-title><mj-preview>{{ contact.name }}</mj-preview>"),
        page("<mj-navbar><mj-navbar-link href='{{ contact.name }}'>{{ contact.name }}</mj-navbar-link></mj-navbar>"),
    ],
)  # fmt: skip
def test_a_value_brings_no_element_and_no_attribute_along(mjml: str):
    html = rendered(mjml, name=EVIL)
    assert "<script" not in html
    assert 'onclick="' not in html
    assert "&lt;script&gt;" in html


def test_what_comes_out_as_no_mjml_refuses_the_message():
    with pytest.raises(RenderRefused) as caught:
        rendered(page("{% if contact.vip %}<mj-text>x{% endif %}"), vip=True)
    assert caught.value.code == "template.mjml"
    assert caught.value.message.startswith("The mjml of the template guide came out as no MJML: ")


def test_values_that_blow_it_up_refuse_the_message():
    with pytest.raises(RenderRefused) as caught:
        rendered(page("<mj-text>{{ contact.name }}</mj-text>"), name="x" * 262_000)
    assert caught.value.code == "template.too_large"


def fault(mjml: str) -> str:
    (found,) = renderer_now().check([Piece("mjml", mjml)])
    assert found is not None
    return found.message


@pytest.mark.parametrize("element", ["b", "mj-wrapper", "mj-section"])
def test_what_would_crash_the_library_never_reaches_it(element: str):
    nested = f"<{element}>" * 5_000 + f"</{element}>" * 5_000
    assert "more than 100 elements" in fault(f"<mjml><mj-body>{nested}</mj-body></mjml>")


@pytest.mark.parametrize("where", ["{}", "file://{}"])
def test_nothing_is_read_from_the_disk(tmp_path: Path, where: str):
    (tmp_path / "part.mjml").write_text("<mj-text>secret</mj-text>")
    path = where.format(tmp_path / "part.mjml")
    assert "mj-include" in fault(page(f'<mj-include path="{path}" />'))
    assert "mj-include" in fault(page("", f'<mj-include path="{path}" type="css"></mj-include>'))
