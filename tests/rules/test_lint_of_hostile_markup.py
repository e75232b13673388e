"""Markup that was made to be read for long is read once, as any other: it is looked over in the server's process."""

from __future__ import annotations

import pytest

from overture.rules import lint

LONG = 250_000  # characters; read twice from each of them, they take minutes


@pytest.mark.parametrize(
    "markup",
    [
        "<" + "a" * LONG,
        "<p " + "a" * LONG + ">",
        "<p a" + " " * LONG + ">",
        "<p" + " a=" * (LONG // 3) + ">",
        "<style></script>" * (LONG // 16),
        "<style>" * (LONG // 7),
    ],
    ids=["name", "attribute", "space", "values", "mixed", "nested"],
)
def test_it_is_read_once(markup: str) -> None:
    assert not list(lint.of_markup(markup, mjml=False))
    pictures = [found.offset for found in lint.of_markup("<img>" + markup, mjml=False)]
    assert pictures == [0]


def test_what_stands_in_a_style_is_told_once_and_what_follows_is_looked_at() -> None:
    found = lint.of_markup("<style>p{{ x }}<style></script></style><img><script>{{ y }}</script><img>", mjml=True)
    assert [(each.code, each.offset) for each in found] == [
        ("template.unquoted", 0),
        ("template.alt_text", 39),
        ("template.unquoted", 44),
        ("template.alt_text", 68),
    ]
