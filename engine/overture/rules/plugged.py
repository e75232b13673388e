"""What plugins add to the language, checked: calls of their functions, and the scorers that scores go by."""

from __future__ import annotations

from collections.abc import Callable, Collection
from collections.abc import Mapping as Table
from dataclasses import replace

from overture.model.pure import Function, Scorer, Scoring, WrongConfig
from overture.rules.presence import Present, key_of
from overture.rules.reading import Reading, is_null
from overture.rules.report import did_you_mean
from overture.rules.tree import Call, Field, History, Place
from overture.rules.types import ANY, NAMES, Type, parse_type
from overture.rules.yamltext import Mapping, Sequence, YamlNode, plain

INSTALL = "Install the plugin that offers it."


def how_many(fewest: int, most: int) -> str:
    """``2 arguments``, ``1 to 3 arguments``."""
    return f"{'' if fewest == most else f'{fewest} to '}{most} argument{'' if most == 1 else 's'}"


def check_call(
    node: Call, function: Function, kinds: list[Type], present: Present, error: Callable[[str, str, Place, str], None]
) -> Type:
    """The type of a call of a plugin's function: it may be missing where an argument may be that must not."""
    fewest, most = function.fewest, len(function.parameters)
    optional = function.returns.endswith("?")
    if not fewest <= len(kinds) <= most:
        message = f"`{node.name}` takes {how_many(fewest, most)}"
        error("condition.arguments", message, node.place, f"{function.signature}.")
    for argument, kind, parameter in zip(node.arguments, kinds, function.parameters, strict=False):
        expected = parse_type(parameter) or ANY
        if not kind.fits(expected) and (kind, expected.kind) != (NAMES, "list"):
            message = f"`{node.name}` takes {expected} here, and this is {kind}"
            error("condition.type", message, argument.place, f"{function.signature}.")
        there = isinstance(argument, Field | History) and key_of(argument) in present
        optional = optional or (kind.optional and not expected.optional and not there)
    return replace(parse_type(function.returns) or ANY, optional=optional)


def scoring(reading: Reading, body: Mapping, scorers: Table[str, Scorer], own: Collection[str] = ()) -> Scoring | None:
    """The scorer that an action names under ``by``, opened with what stands under ``with``; None: reported. ``own``:
    what else the document has that ``by`` can name.
    """
    name = reading.text(body.items.get("by"), "by")
    settings = reading.mapping(body.items.get("with"), "with")
    if name is None or (settings is None and not is_null(body.items.get("with"))):
        return None
    scorer = scorers.get(name.text)
    if scorer is None:
        reading.report.add(
            "scorer.unknown",
            f"There is no scorer {name.text!r}",
            name,
            did_you_mean(name.text, {*scorers, *own}, INSTALL),
        )
        return None
    try:
        return scorer.open({} if settings is None else plain(settings))
    except WrongConfig as error:
        for path, kind, problem in error.problems:
            where, rest = _at(name if settings is None else settings, path, key=kind == "extra_forbidden")
            what = ".".join(map(str, rest if kind == "missing" else path))
            unknown = kind == "extra_forbidden" and len(path) == 1
            hint = did_you_mean(what, scorer.settings) if unknown else ""
            message = f"{what}: {problem}" if what else problem
            reading.report.add("scorer.config", message[:300].rstrip("."), where, hint)
        return None


def _at(node: YamlNode, path: tuple[str | int, ...], *, key: bool) -> tuple[YamlNode, tuple[str | int, ...]]:
    """The node at a path, as far as it is there, and what is left of the path; ``key``: the key that leads to it."""
    for n, part in enumerate(path):
        match node:
            case Mapping() if str(part) in node.items:
                last = key and n == len(path) - 1
                node = node.keys[str(part)] if last else node.items[str(part)]
            case Sequence() if isinstance(part, int) and part < len(node.items):
                node = node.items[part]
            case _:
                return node, path[n:]
    return node, ()
