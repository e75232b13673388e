"""MJML to HTML. The library crashes on elements nested some thousand deep, so how deep they are is looked at before."""

from __future__ import annotations

import re
from difflib import get_close_matches

import mrml

NESTED = 100  # elements in one another

COMPONENTS = frozenset({
    "mj-accordion", "mj-accordion-element", "mj-accordion-text", "mj-accordion-title", "mj-all", "mj-attributes",
    "mj-body", "mj-breakpoint", "mj-button", "mj-carousel", "mj-carousel-image", "mj-class", "mj-column", "mj-divider",
    "mj-font", "mj-group", "mj-head", "mj-hero", "mj-image", "mj-navbar", "mj-navbar-link", "mj-preview", "mj-raw",
    "mj-section", "mj-social", "mj-social-element", "mj-spacer", "mj-style", "mj-table", "mj-text", "mj-title",
    "mj-wrapper",
})  # fmt: skip

_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_ELEMENT = re.compile(r"""<!--.*?-->|<(/?)([A-Za-z][\w:.-]*)(?:[^<>"']|"[^"]*"|'[^']*')*>""", re.DOTALL)
_RANGE = re.compile(r" in root template(?: at position (\d+):\d+)?$")


class MjmlRefused(ValueError):
    """``offset`` is where, in characters of the text; 0 where that is not known."""

    def __init__(self, message: str, offset: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint


def to_html(source: str) -> str:
    """The HTML that a document in MJML stands for; reads nothing else. Raises MjmlRefused."""
    open_at = _outline(source)
    try:
        return mrml.to_html(source, mrml.ParserOptions(include_loader=mrml.noop_loader())).content
    except OSError as error:
        told = str(error)
        found = _RANGE.search(told)
        at = len(source.encode()[: int(found[1])].decode(errors="ignore")) if found and found[1] else open_at
        raise MjmlRefused(_RANGE.sub("", told), at) from None


def _outline(source: str) -> int:
    """Where the last element begins that is not closed as it should be, 0 if all are. Raises MjmlRefused for what is
    nested too deeply, and for a component that there is not: those would be left in the mail as they are.
    """
    opened: list[tuple[str, int]] = []
    wrong = 0
    for found in _ELEMENT.finditer(source):
        closing, name = found[1], found[2]
        if name is None:
            continue
        if name == "mj-include":
            raise _included(found.start())
        if name.startswith("mj-") and name not in COMPONENTS:
            raise MjmlRefused(f"there is no {name[:40]}", found.start(), _nearest(name))
        if name in _VOID or found[0].endswith("/>"):
            continue
        if not closing:
            opened.append((name, found.start()))
            if len(opened) > NESTED:
                raise MjmlRefused(f"more than {NESTED} elements are in one another", found.start())
        elif opened and opened[-1][0] == name:
            opened.pop()
        else:
            wrong = wrong or found.start()
    return wrong or (opened[-1][1] if opened else 0)


def _nearest(name: str) -> str:
    close = get_close_matches(name[:64], COMPONENTS, 1, 0.6)
    return f"Did you mean {close[0]!r}?" if close else ""


def _included(at: int) -> MjmlRefused:
    hint = 'Write here what it would include, or {% include "…" %} a block.'
    return MjmlRefused("mj-include reads files, of which there are none", at, hint)
