"""Which rulesets a test runs with: its own, those that provide what these require, and those it names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from overture.rules import Ruleset

_PROVIDED = ("scores", "segments", "lists", "blocks")


def needed(names: Iterable[str], library: Mapping[str, Ruleset]) -> list[Ruleset]:
    """The named rulesets of the library, and all of it that declares what they, and these in turn, require."""
    found: dict[str, Ruleset] = {}
    queue = list(names)
    while queue:
        name = queue.pop()
        if name not in found:
            found[name] = library[name]
            queue += _providers(library[name], library)
    return [found[name] for name in sorted(found)]


def _providers(ruleset: Ruleset, library: Mapping[str, Ruleset]) -> list[str]:
    wanted = {(section, name) for section in _PROVIDED for name in ruleset.requires.get(section, ())}
    return [
        other.name
        for other in library.values()
        if other is not ruleset and any(name in _declared(other, section) for section, name in wanted)
    ]


def _declared(ruleset: Ruleset, section: str) -> Mapping[str, object]:
    match section:
        case "scores":
            return ruleset.scores
        case "segments":
            return ruleset.segments
        case "blocks":
            return ruleset.blocks
        case _:
            return ruleset.lists
