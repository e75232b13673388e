"""What a User-Agent says: a browser, a proxy through which mail programs fetch images, or a machine that looks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from crawleruseragents import is_crawler  # pyright: ignore[reportMissingTypeStubs]
from ua_parser import parse

LONGEST = 512  # characters that are looked at
_REMEMBERED = 8_192  # a look at a new one takes about a millisecond
Proxy = Literal["", "gmail", "yahoo", "apple"]


@dataclass(frozen=True, slots=True)
class Agent:
    """``browser``, ``os`` and ``device`` as (name, version) and (maker, model); empty texts for what is not known.

    Of a ``proxy`` they are empty: it says nothing of whoever is behind it.
    """

    browser: tuple[str, str] = ("", "")
    os: tuple[str, str] = ("", "")
    device: tuple[str, str] = ("", "")
    proxy: Proxy = ""
    bot: bool = False

    @property
    def machine(self) -> bool:
        """Nobody need have looked. Apple's proxy fetches every mail; those of Gmail and Yahoo, what is opened."""
        return self.bot or self.proxy == "apple"

    def told(self) -> dict[str, Any]:
        """What there is of it, for the context of a fact: ``browser``, ``os``, ``device``, ``proxy``, ``bot``."""
        parts = {
            "browser": _named(("name", "version"), self.browser),
            "os": _named(("name", "version"), self.os),
            "device": _named(("manufacturer", "model"), self.device),
            "proxy": self.proxy,
            "bot": self.bot,
        }
        return {name: value for name, value in parts.items() if value}


def agent_of(user_agent: str) -> Agent:
    """Read one; the last thousands are remembered."""
    return _agent_of(user_agent[:LONGEST])


@lru_cache(_REMEMBERED)
def _agent_of(user_agent: str) -> Agent:
    if proxy := _proxy(user_agent):  # first: two of them stand in the list of bots as well
        return Agent(proxy=proxy)
    if not user_agent or is_crawler(user_agent):
        return Agent(bot=bool(user_agent))
    found = parse(user_agent)
    browser, os, device = found.user_agent, found.os, found.device
    return Agent(
        browser=(browser.family, _version(browser.major, browser.minor)) if browser else ("", ""),
        os=(os.family, _version(os.major, os.minor)) if os else ("", ""),
        device=(device.brand or "", device.model or "") if device else ("", ""),
    )


def _proxy(user_agent: str) -> Proxy:
    if "GoogleImageProxy" in user_agent:
        return "gmail"
    if "YahooMailProxy" in user_agent:
        return "yahoo"
    return "apple" if user_agent.strip() == "Mozilla/5.0" else ""  # Mail Privacy Protection says no more


def _version(*parts: str | None) -> str:
    return ".".join(part for part in parts if part)


def _named(names: tuple[str, str], values: tuple[str, str]) -> dict[str, str]:
    return {name: value for name, value in zip(names, values, strict=True) if value}
