"""What is asked about: one document or several, checked and not kept."""

from __future__ import annotations

import re

import msgspec

from overture.model import Diagnostic, Refused
from overture.model.pure import NO_PLUGINS, Pure
from overture.rules import Ruleset, RulesetInvalid, inspect, require_name

_MARK = re.compile(r"---(?=[ \t\n]|$)")  # at the beginning of a line it ends a document, wherever it stands
_NOTHING = re.compile(r"\s*([#%].*\s*)?")


def documents(text: str) -> list[tuple[int, str]]:
    """The documents of a YAML stream, separated by ``---``, each with the number of lines before it."""
    found: list[tuple[int, list[str]]] = [(0, [])]
    for n, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text), 1):
        if _MARK.match(line):
            found.append((n, []))
        else:
            found[-1][1].append(line)
    there = [(before, "".join(lines)) for before, lines in found if not all(map(_NOTHING.fullmatch, lines))]
    # One document is taken as it came: its revision follows from its text.
    return there if len(there) > 1 else [(0, text)]


def candidates(name: str, text: str, pure: Pure = NO_PLUGINS) -> dict[str, tuple[Ruleset, str]]:
    """By name: the checked rulesets of a stream, and their texts. The first one has to be called ``name``.
    ``pure``: what plugins add to the language.

    Raises RulesetInvalid with the findings in all of them, Refused ``ruleset.name_differs``, ``backtest.twice``.
    """
    errors: list[Diagnostic] = []
    checked: list[tuple[Ruleset, str]] = []
    for before, document in documents(text):
        ruleset, diagnostics = inspect(document, pure=pure)
        if ruleset is None:
            errors += (msgspec.structs.replace(d, line=d.line + before) for d in diagnostics)
        else:
            checked.append((ruleset, document))
    if errors:
        raise RulesetInvalid(errors)
    require_name(checked[0][0], name)
    found = {ruleset.name: (ruleset, document) for ruleset, document in checked}
    if len(found) < len(checked):
        raise Refused("backtest.twice", "Two of the documents have the same name.", "Send one of each.", status=422)
    return found
