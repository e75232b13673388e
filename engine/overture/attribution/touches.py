"""Touches where nothing else is asked for: visits that came from somewhere, messages that were opened or followed; and
what facts say of where they come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from overture.model import Fact

Label = Callable[[Fact], str | None]

TAGS = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")
MESSAGES = frozenset({"message.opened", "message.clicked"})
VISIT = "page_viewed"


def is_touch(fact: Fact) -> bool:
    """A message opened or a link in it followed, or a page viewed by who came from a campaign or another site; never by
    a machine.
    """
    if fact.type in MESSAGES:
        return fact.properties.get("machine") is not True
    if fact.type != VISIT or fact.properties.get("machine") is True:
        return False
    return any(_said(fact, tag) for tag in TAGS) or bool(_site_before(fact.properties))


def channel(fact: Fact) -> str | None:
    """Of a message its channel; else ``utm_medium``, ``campaign`` where there are other tags only, ``referral`` where
    there is another site before; else the type of the fact."""
    if told := _of_message(fact, "channel") or _said(fact, "utm_medium"):
        return told
    if any(_said(fact, tag) for tag in TAGS):
        return "campaign"
    return "referral" if _site_before(fact.properties) else fact.type


def source(fact: Fact) -> str | None:
    """Of a message its channel; else ``utm_source``, or the host of the site before."""
    return _of_message(fact, "channel") or _said(fact, "utm_source") or _site_before(fact.properties) or None


def campaign(fact: Fact) -> str | None:
    """``utm_campaign``; of a message the journey that sent it, else the ruleset."""
    return _said(fact, "utm_campaign") or _of_message(fact, "journey") or ruleset(fact)


def ruleset(fact: Fact) -> str | None:
    """Of a message the ruleset that sent it: its id tells (`overture.model.ids.message_id`)."""
    parts = (_of_message(fact, "message") or "").rsplit(":", 3)
    name = parts[1].partition("/")[0] if len(parts) == 4 else ""
    return name or None


def template(fact: Fact) -> str | None:
    """Of a message its template, as ``ruleset/template``; without a ruleset where it is none of ours."""
    name = _of_message(fact, "template")
    return f"{sender}/{name}" if name and (sender := ruleset(fact)) else name


LABELS: Mapping[str, Label] = {
    "channel": channel,
    "source": source,
    "campaign": campaign,
    "ruleset": ruleset,
    "template": template,
}


def _of_message(fact: Fact, name: str) -> str | None:
    return _said(fact, name) if fact.type.startswith("message.") else None


def _said(fact: Fact, name: str) -> str | None:
    value = fact.properties.get(name)
    return value if type(value) is str and value else None


def _site_before(properties: Mapping[str, Any]) -> str:
    """The host of the referrer, empty where it is that of the page itself."""
    host = _host(properties.get("referrer"))
    return "" if host == _host(properties.get("url")) else host


def _host(url: object) -> str:
    if type(url) is not str or not url:
        return ""
    try:
        return (urlsplit(url).hostname or "").removeprefix("www.")
    except ValueError:
        return ""
