"""What is installed in the entry point group ``overture``. Metadata that cannot be read cost their own distribution."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, distributions

from overture.model.errors import describe

GROUP = "overture"
OWN = "overture"  # the distribution whose plugins are allowed whatever the list says


@dataclass(frozen=True, slots=True)
class Installed:
    """A plugin that is not imported yet. ``entry`` is None where it cannot be, with the reason in ``error``."""

    name: str
    distribution: str
    version: str
    entry: EntryPoint | None = None
    error: str = ""


def installed() -> list[Installed]:
    """Overture's own come first, then the others by the names of their distributions."""
    found: list[Installed] = []
    for each in distributions():
        known = {plugin.distribution for plugin in found if plugin.distribution}
        found += [plugin for plugin in _plugins(each) if plugin.distribution not in known and not _hidden(each, plugin)]
    return sorted(found, key=lambda plugin: (plugin.distribution != OWN, plugin.distribution, plugin.name))


def _hidden(distribution: Distribution, plugin: Installed) -> bool:
    """Whether another one of its name comes first on the path, as one that was installed over it does."""
    try:
        first = Distribution.from_name(plugin.distribution)
    except (PackageNotFoundError, ValueError):  # its folder has another name, or it has none
        return False
    return first.locate_file("") != distribution.locate_file("")


def _plugins(distribution: Distribution) -> Iterator[Installed]:
    try:
        text = distribution.read_text("entry_points.txt") or ""
    except Exception:  # whose it is, it does not say
        return
    if f"[{GROUP}]" not in text:  # reading the metadata of all that is installed takes long
        return
    try:
        name, version = str(distribution.metadata["Name"] or ""), str(distribution.metadata["Version"] or "")
    except Exception as error:
        yield Installed("", "", "", error=f"Its METADATA cannot be read: {describe(error)}")
        return
    try:
        entries = list(distribution.entry_points.select(group=GROUP))
    except Exception as error:
        yield Installed(name, name, version, error=f"Its entry_points.txt cannot be read: {describe(error)}")
        return
    for entry in entries:
        if name:
            yield Installed(entry.name, name, version, entry)
        else:
            yield Installed(entry.name, "", version, error="Its METADATA is missing, or has no Name.")
