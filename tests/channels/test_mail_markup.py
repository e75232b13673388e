"""HTML for mail programs: what its plain text says, what is put into the elements, and what must not happen."""

from __future__ import annotations

from pathlib import Path

import pytest

from overture_channels.mail import plain
from overture_channels.markup import MOST_TAGS, as_text, inlined, readable


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("<p>Hello</p>", "Hello\n"),
        ("Hello\n   <b>Ada</b> &amp; Bob&nbsp;!", "Hello Ada & Bob !\n"),
        ("<h1>A</h1><p>b<br>c</p>d", "A\n\nb\nc\n\nd\n"),
        ("<div>a</div><div><div>b</div></div>", "a\nb\n"),
        ("<a href='https://e.com/x?a=1&amp;b=2'>Go</a> on", "Go (https://e.com/x?a=1&b=2) on\n"),
        ("<a href='https://e.com/'>https://e.com/</a>", "https://e.com/\n"),
        ("<a href='https://e.com'>e.com</a>, <a href='mailto:a@e.com'>a@e.com</a>", "e.com, a@e.com\n"),
        ("<a href='https://e.com/x'><img src='y' alt='A picture'></a>", "A picture (https://e.com/x)\n"),
        ("<a href='https://e.com/x'><img src='y'></a>", "https://e.com/x\n"),
        ("<a href='https://e.com/x'><p>In a block</p></a>", "In a block\n\n(https://e.com/x)\n"),
        ("<a href='#top'>Up</a> <a href='javascript:x()'>x</a> <a>y</a> </a>", "Up x y\n"),
        ("<ul><li>one<li>two</ul><ol><li>three</li></ol>", "- one\n- two\n\n- three\n"),
        ("<table><tr><td>a</td><td>b</td></tr><tr><th>c</th></tr></table>", "a b\nc\n"),
        ("a<hr>b", "a\n\n--------------------\n\nb\n"),
        ("<pre>a\n  b\n\nc</pre>", "a\n  b\n\nc\n"),
        ("<title>t</title><style>p{}</style><script>x</script>a<!-- b --><!--[if mso]>c<![endif]-->", "a\n"),
        ("<div style='color:red; display : none'>p<br><p>q</p></div>a<span hidden>b</span>", "a\n"),
        ("<p>a</p></div></p></p>b", "a\n\nb\n"),
        ("<p>\u200b\u200c a</p>", "a\n"),
        ("a &lt;script&gt; b <", "a <script> b <\n"),
        ("a<![foo]> b<![x y]> <![endif]>c", "a b c\n"),
        ("a<![if !mso]> b<![endif]><![CDATA[x]]><!doctype [<!foo ]>", "a b\n"),
    ],
)
def test_the_plain_text(html: str, text: str):
    assert as_text(html) == text


def test_what_ends_within_a_declaration_is_read_up_to_there():
    assert as_text("a<br>b <![foo").startswith("a\nb")


def test_rules_are_put_into_the_elements_and_stay():
    html = inlined("<html><head><style>p{color:red}a:hover{color:blue}@media print{p{color:black}}</style></head><p>x")
    assert '<p style="color: red;">x</p>' in html
    assert "a:hover{color:blue}@media print{p{color:black}}" in html


def test_without_sheets_nothing_is_changed():
    for html in ("<p>x", "<p style='a'>&amp;", "x < y", ""):
        assert inlined(html) == html


@pytest.mark.parametrize("where", ["{}", "file://{}", "http://127.0.0.1:9/{}"])
def test_nothing_is_fetched(tmp_path: Path, where: str):
    (tmp_path / "sheet.css").write_text("p { color: secret }")
    href = where.format(tmp_path / "sheet.css")
    html = inlined(f"<style>@import url('{href}'); b{{color:red}}</style><link rel=stylesheet href='{href}'><p>x</p>")
    assert "secret" not in html
    assert f'href="{href}"' in html


@pytest.mark.parametrize("element", ["b", "div", "table", "font color=red"])
def test_what_is_nested_without_end_ends_nothing(element: str):
    html = "<style>b{color:red}</style>" + f"<{element}>" * (MOST_TAGS - 3)
    assert inlined(html + "x") != html + "x"  # as far as the inliner goes
    endless = html * 30
    assert inlined(endless) == endless
    assert as_text(endless + "x").strip() == "x"


def test_the_authors_text_goes_before_the_one_of_the_html():
    assert readable("own", "<p>a</p>") == ("own", "<p>a</p>")
    assert readable(" \n", "<p>a</p>") == ("a\n", "<p>a</p>")
    assert readable("", "") == ("", "")


def test_a_header_has_one_line_and_no_encoded_word():
    assert plain("a\r\nBcc: b\u2028c =?utf-8?q?x?= \ud800") == "a Bcc: b c = ?utf-8?q?x?="
