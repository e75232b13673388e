"""HTML as mail programs need it: style sheets in the elements themselves, and the same in plain text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import css_inline

MOST_TAGS = 4_000  # the inliner recurses: what is nested some ten thousand deep would end the process
_INLINER = css_inline.CSSInliner(keep_style_tags=True, keep_link_tags=True, load_remote_stylesheets=False)
_STYLED = re.compile(r"<style[\s>]", re.IGNORECASE)

_SILENT = frozenset({"head", "script", "style", "template", "title"})
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_APART = frozenset({"blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "table", "ul"})
_LINES = frozenset({
    "address", "article", "aside", "center", "dd", "div", "dt", "footer", "form", "header", "li", "main", "nav",
    "section", "tr",
})  # fmt: skip
_HIDDEN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_LINKS = ("http://", "https://", "mailto:", "tel:")


def readable(text: str, html: str) -> tuple[str, str]:
    """The text and the HTML of a mail: the text is made of the HTML where there is none, and the HTML is `inlined`."""
    return text if text.strip() or not html else as_text(html), inlined(html)


def inlined(html: str) -> str:
    """With the rules of its ``<style>`` elements in the elements that they are about, for mail programs that leave the
    sheets out; the sheets stay, for what cannot be inlined. Loads nothing. What has no sheets is left as it is, and so
    is what has more than `MOST_TAGS` tags or cannot be read.
    """
    if not _STYLED.search(html) or html.count("<") > MOST_TAGS:
        return html
    try:
        return _INLINER.inline(html)
    except css_inline.InlineError:
        return html


def as_text(html: str) -> str:
    """What a person would read, as plain text: links with where they lead, pictures as what they say instead."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = []
        self._line: list[str] = []
        self._silent: list[str] = []  # the elements that are open since one that is not shown
        self._links: list[tuple[str, int, int]] = []  # where the open ones lead, and the line and part they begin in
        self._pre = 0

    def text(self) -> str:
        self._end_line()
        found = re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip("\n")
        return f"{found}\n" if found else ""

    def parse_html_declaration(self, i: int) -> int:
        """``<![foo]>`` as browsers read it: older versions of the parser raise an AssertionError."""
        return self.parse_bogus_comment(i) if self.rawdata.startswith("<![", i) else super().parse_html_declaration(i)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if self._silent or tag in _SILENT or _HIDDEN.search(given.get("style", "")) or "hidden" in given:
            if tag not in _VOID:
                self._silent.append(tag)
            return
        if tag == "br":
            self._end_line()
        elif tag == "hr":
            self._apart()
            self._line.append("-" * 20)
            self._apart()
        elif tag == "img":
            self._line.append(given.get("alt", ""))
        elif tag == "a":
            self._links.append((given.get("href", "").strip(), len(self._lines), len(self._line)))
        elif tag in ("td", "th"):
            self._line.append(" ")
        elif tag in _APART:
            self._apart()
            self._pre += tag == "pre"
        elif tag in _LINES:
            self._end_line()
            if tag == "li":
                self._line.append("- ")

    def handle_endtag(self, tag: str) -> None:
        if self._silent:
            if tag in self._silent:
                while self._silent.pop() != tag:
                    pass
        elif tag == "a" and self._links:
            self._end_link()
        elif tag in _APART:
            self._pre = max(self._pre - (tag == "pre"), 0)
            self._apart()
        elif tag in _LINES:
            self._end_line()

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if not self._pre:
            self._line.append(re.sub(r"\s+", " ", data.replace("\u200c", "").replace("\u200b", "")))
            return
        first, *rest = data.split("\n")
        self._line.append(first)
        for line in rest:
            self._end_line()
            self._line.append(line)

    def _end_link(self) -> None:
        href, line, part = self._links.pop()
        shown = "".join(self._lines[line:] + self._line[part if line == len(self._lines) else 0 :]).strip()
        if href.lower().startswith(_LINKS) and shown not in (href, href.partition(":")[2], href.partition("//")[2]):
            self._line.append(f" ({href})" if shown else href)

    def _end_line(self) -> None:
        line = "".join(self._line)
        self._line.clear()
        line = line.rstrip() if self._pre else re.sub(r" +", " ", line).strip()
        if line or (self._pre and self._lines):
            self._lines.append(line)

    def _apart(self) -> None:
        self._end_line()
        if self._lines and self._lines[-1]:
            self._lines.append("")
