"""Commands for who writes rulesets: `new ruleset`, `fmt`, `schema`, `diff`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import Parameter
from rich.console import Console

from overture.cli.documents import read, show_findings
from overture.cli.starter import starter
from overture.cli.terminal import Json, Url, connect, console, loaded_plugins
from overture.model import Refused
from overture.rules import Ruleset, RulesetInvalid, load
from overture.rules.difference import Change, difference
from overture.rules.layout import laid_out
from overture.rules.reading import RULESET_NAME
from overture.trial.keys import schema_of_rulesets, schema_of_tests

DONE, DIFFERENT, INVALID = 0, 1, 2
Switch = Parameter(negative="")


def new_ruleset(name: str, *, folder: Path = Path()) -> None:
    """Write a small ruleset that works, and its tests beside it.

    Parameters
    ----------
    name
        What it is called; the files are NAME.yaml and NAME.test.yaml.
    folder
        Where they are written, by default here.
    """
    if not RULESET_NAME.fullmatch(name):
        hint = "Lower-case letters, digits, _ and -, at most 64 characters."
        raise Refused("new.name", f"{name[:80]!r} cannot be the name of a ruleset.", hint)
    files = {folder / f"{name}{suffix}": text for suffix, text in starter(name).items()}
    for file in files:
        if file.exists():
            raise Refused("new.exists", f"{file} is there already.", "Choose another name or folder.")
    for file, text in files.items():
        _write(file, text)
        console.print(f"{file}: written", markup=False)


def fmt(*files: Path, check: Annotated[bool, Switch] = False) -> int:
    """Lay out rulesets and tests: one order of sections, one indentation, quotes only where needed; comments stay.

    Parameters
    ----------
    files
        The documents.
    check
        Change nothing; exit code 1 where something would change.
    """
    if not files:
        raise Refused("check.no_files", "There is no document to lay out.", "Name one or more YAML files.")
    codes = [_lay_out(file, check=check) for file in files]
    return max(codes)


def schema(*, out: Path | None = None, tests: Annotated[bool, Switch] = False) -> None:
    """The JSON Schema of ruleset documents, for editors.

    Parameters
    ----------
    out
        The file that it is written to; by default it is printed.
    tests
        Of documents that hold tests instead.
    """
    text = json.dumps(schema_of_tests() if tests else schema_of_rulesets(), indent=2, ensure_ascii=False)
    if out is None:
        print(text)
    else:
        _write(out, f"{text}\n")


def diff(old: str, new: Path, *, url: Url = None, as_json: Json = False) -> int:
    """What a document means that another does not, whatever they look like. Exit code 1 where there is something.

    Parameters
    ----------
    old
        A document, or the name of a ruleset that is active on the server.
    new
        A document.
    """
    before, after = _named(old, url), _loaded(new)
    if before is None or after is None:
        return INVALID
    changes = difference(before, after)
    if as_json:
        print(json.dumps([asdict(change) for change in changes]))
    else:
        for change in changes:
            _show(change)
    return DIFFERENT if changes else DONE


def _lay_out(file: Path, *, check: bool) -> int:
    if file.suffix == ".json":
        raise Refused("fmt.json", f"{file} is JSON, and what is laid out is YAML.", "Give it another name first.")
    text = read(file)
    try:
        after = laid_out(text)
    except RulesetInvalid as invalid:
        show_findings(file, invalid.diagnostics, console)
        return INVALID
    except Refused as refused:
        raise Refused(refused.code, f"{file}: {refused.message}", refused.hint) from refused
    if after == text:
        return DONE
    if not check:
        _write(file, after)
    console.print(f"{file}: {'would change' if check else 'laid out'}", markup=False)
    return DIFFERENT if check else DONE


def _named(said: str, url: str | None) -> Ruleset | None:
    """A document where there is a file of that name, or none could be called so; else what is active on the server."""
    if Path(said).exists() or not RULESET_NAME.fullmatch(said):
        return _loaded(Path(said))
    with connect(url) as client:
        return load(client.active_document(said), loaded_plugins().pure())


def _loaded(file: Path) -> Ruleset | None:
    """None, and said why, for a document with errors."""
    try:
        return load(read(file), loaded_plugins().pure())
    except RulesetInvalid as invalid:
        show_findings(file, invalid.diagnostics, Console(stderr=True, highlight=False, soft_wrap=True))
        return None


def _show(change: Change) -> None:
    def say(text: str) -> None:
        console.print(text, markup=False)

    sign = {"added": "+", "removed": "-", "changed": "~"}[change.kind]
    say(" ".join(part for part in (sign, change.section, change.name, change.facet) if part))
    for mark, value in (("-", change.before), ("+", change.after)):
        if change.kind == "changed" and value is not None:
            for line in _lines(value):
                say(f"    {mark} {line}")


def _lines(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.splitlines() or [""]
    return [
        json.dumps(item, ensure_ascii=False)
        for item in (cast(list[Any], value) if isinstance(value, list) else [value])
    ]


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise Refused("file.unwritable", f"{file} cannot be written: {error.strerror}.") from error
