"""What is customary where a contact lives: CLDR's data, and the zones, at hand without opening a file.

The process opens nothing once it is locked in, and all 1,000 locales at once would be 200 MB: so their files are mapped
beforehand, and each is taken in when a message asks for it.
"""

from __future__ import annotations

import io
import mmap
import pickle
import re
from datetime import UTC, tzinfo
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale, localedata
from babel.core import get_global

_TAG = re.compile(r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,3}")
_SCRIPT = 4  # letters of a subtag that is one

_mapped: dict[str, mmap.mmap] = {}
_by_lower: dict[str, str] = {}
_zones: dict[str, ZoneInfo] = {}


def prepare() -> None:
    """Before the process is locked in."""
    folder = Path(str(files("babel"))) / "locale-data"
    for path in sorted(folder.glob("*.dat")):
        with path.open("rb") as opened:
            _mapped[path.stem] = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    _by_lower.update({name.lower(): name for name in _mapped})
    _zones.update({name: ZoneInfo(name) for name in available_timezones()})
    get_global("parent_exceptions")  # reads the file that all have in common
    for name in ("root", "en"):
        _take_in(name)


@lru_cache(256)
def locale_named(tag: str, otherwise: str) -> Locale:
    """``de-AT``, ``de_AT``, ``de``; what is not known by its language alone is ``otherwise``."""
    for said in (tag, otherwise, "en"):
        found = _known(said)
        if found is not None:
            _take_in(found)
            return Locale.parse(found)
    raise AssertionError("English is always there")


@lru_cache(1024)
def zone_named(name: str) -> tzinfo:
    """UTC where there is no such zone."""
    return _zones.get(name, UTC)


def _known(tag: str) -> str | None:
    if not _TAG.fullmatch(tag):
        return None
    parts = tag.lower().replace("-", "_").split("_")
    while parts:
        name = _by_lower.get("_".join(parts))
        if name is not None and name != "root":
            return name
        parts.pop()
    return None


def _take_in(name: str) -> dict[str, Any]:
    """As `localedata.load` does, but for the file. Its cache is where Babel looks first."""
    cache = localedata._cache  # pyright: ignore[reportPrivateUsage]
    if name in cache:
        return cache[name]
    own: Any = pickle.load(io.BytesIO(_mapped[name]))
    if name != "root":
        merged = dict(_take_in(_parent(name)))
        localedata.merge(merged, own)
        own = merged
    cache[name] = own
    return own


def _parent(name: str) -> str:
    exceptions = cast(dict[str, str], get_global("parent_exceptions"))
    if name in exceptions:
        return exceptions[name]
    parts = name.split("_")
    if len(parts) == 1 or (len(parts[1]) == _SCRIPT and _other_script(parts)):
        return "root"
    return "_".join(parts[:-1])


def _other_script(parts: list[str]) -> bool:
    likely = cast(dict[str, str], get_global("likely_subtags")).get(parts[0], "")
    return len(parts) == 2 and f"_{parts[1]}_" not in likely
