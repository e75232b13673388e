"""Ruleset documents on disk: checking them and printing what was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from overture.model import Diagnostic, Refused
from overture.model.pure import Pure
from overture.rules.yamltext import SIZE_LIMIT
from overture.trial.files import Source, is_test, with_tests
from overture.trial.reading import inspect, inspect_tests


@dataclass(frozen=True, slots=True)
class Document:
    """One document, and every finding about it."""

    file: Path
    findings: list[Diagnostic]

    @property
    def refused(self) -> bool:
        return any(finding.severity == "error" for finding in self.findings)


def check_files(files: Sequence[Path], pure: Pure) -> list[Document]:
    """The documents, each read once, in the order given. ``pure``: what plugins add to the language. Raises Refused
    where there is nothing to read.
    """
    if not files:
        raise _no_files()
    return [Document(file, _findings(file, read(file), pure)) for file in files]


def _findings(file: Path, text: str, pure: Pure) -> list[Diagnostic]:
    return inspect_tests(text)[1] if is_test(file) else inspect(text, pure)[2]


def read(file: Path) -> str:
    """The text of a file or pipe, which may be endless."""
    cap = SIZE_LIMIT + 1  # a byte order mark does not count
    try:
        with file.open(encoding="utf-8") as opened:
            text = opened.read(cap + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Refused("check.unreadable", f"{file} cannot be read: {reason}.") from error
    if len(text) > cap:
        reason = f"it is larger than a document may be ({SIZE_LIMIT >> 10} KiB)"
        raise Refused("check.unreadable", f"{file} cannot be read: {reason}.", "Split the ruleset.")
    return text


@dataclass(frozen=True, slots=True)
class Deployable:
    """A ruleset with the tests beside it, as it travels. ``name`` is empty where there are errors."""

    name: str
    source: Source
    documents: list[Document]


def deployables(files: Sequence[Path], pure: Pure) -> list[Deployable]:
    """The rulesets among the files, in the order given; tests travel with theirs. Raises Refused as `check_files`."""
    found: list[Deployable] = []
    for file in files:
        if not is_test(file):
            source = with_tests(file, read)
            ruleset, told = source.inspect(pure)
            shown = [Document(path, findings) for path, findings in told]
            found.append(Deployable(ruleset.name if ruleset else "", source, shown))
    if not found:
        raise _no_files()
    return found


def _no_files() -> Refused:
    return Refused("check.no_files", "There is no document to check.", "Name one or more YAML files.")


def report(documents: Sequence[Document], console: Console, *, as_json: bool) -> None:
    """One line a finding: ``file:line:column: severity code: message`` and its hint."""
    if as_json:
        shown: list[dict[str, Any]] = [
            {"file": str(d.file), "findings": [msgspec.to_builtins(f) for f in d.findings]} for d in documents
        ]
        print(json.dumps(shown))
        return
    for document in documents:
        show_findings(document.file, document.findings, console)
        if not document.refused:
            console.print(f"{document.file}: good", markup=False)


def show_findings(file: Path, findings: Sequence[Diagnostic], console: Console) -> None:
    """Each as ``file:line:column: severity code: message``, and below it the hint."""
    for d in findings:
        console.print(f"{file}:{d.line}:{d.column}: {d.severity} {d.code}: {d.message}", markup=False)
        if d.hint:
            console.print(f"    {d.hint}", markup=False)
