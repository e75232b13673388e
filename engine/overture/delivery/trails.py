"""Mails that tell when they are opened and which of their links are followed, where somebody has asked for that."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape, unescape
from html.parser import HTMLParser

from overture.decide.sendtimes import covers
from overture.delivery.links import Links, Trail
from overture.model import Message
from overture.settings import Tracking

LONGEST = 2_000  # characters of an address; a longer one stays as it is
OFF = "data-track"  # with the value ``off`` at a link: that one is left alone; at <html> or <body>: the whole mail
_HREF = re.compile(r"""(\shref\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
_TARGET = re.compile(r"https?://[^\x00-\x1f\x7f]+", re.IGNORECASE)


def trailed(html: str, message: Message, links: Links, asked: Mapping[str, Tracking]) -> str:
    """The HTML of a message with its links leading over this server, and an image that is fetched when it is opened,
    as far as ``asked`` for the message's channel and purpose. Links of our own (unsubscribe, preferences, confirm) stay
    as they are, and so does a message to somebody else than the contact.
    """
    of = asked.get(message.channel)
    if of is None or not html or message.to or not covers(of.purposes, message.purpose):
        return html

    def trail(url: str) -> Trail:
        return Trail(message.contact, message.id, message.channel, url, message.created_at)

    found = _Finder(html)
    if found.off:
        return html
    if of.opens:
        at = len(html) if found.end is None else found.end
        image = f'<img src="{escape(links.opened(trail("")))}" width="1" height="1" alt="">'
        html = html[:at] + image + html[at:]
    if not of.clicks:
        return html
    for at, tag, href in reversed(found.links):
        if _TARGET.fullmatch(href) and len(href) <= LONGEST and not href.startswith(f"{links.base}/"):
            html = html[:at] + _led(tag, href, lambda url: links.clicked(trail(url))) + html[at + len(tag) :]
    return html


def _led(tag: str, href: str, over: Callable[[str], str]) -> str:
    """A start tag with another ``href`` in place of its own."""
    for found in _HREF.finditer(tag):
        if unescape(found[2].strip("\"'")).strip() == href:
            return f'{tag[: found.start()]}{found[1]}"{escape(over(href))}"{tag[found.end() :]}'
    return tag


class _Finder(HTMLParser):
    """``links``: (place, start tag, address); ``end``: the place of </body>; ``off``: nothing is to be followed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[tuple[int, str, str]] = []
        self.end: int | None = None
        self.off = False
        self._lines = [0, *(found.end() for found in re.finditer("\n", html))]
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(reversed(attrs))  # of two with one name, a mail program goes by the first
        if (said.get(OFF) or "").lower() == "off":
            self.off |= tag in ("html", "body")
        elif tag in ("a", "area") and (href := said.get("href")):
            self.links.append((self._place(), self.get_starttag_text() or "", href.strip()))

    def handle_endtag(self, tag: str) -> None:
        if tag == "body":
            self.end = self._place()

    def _place(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column
