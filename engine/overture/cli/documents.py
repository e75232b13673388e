"""Ruleset documents on disk: checking them and printing what was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from overture.model import Diagnostic, Refused
from overture.rules import inspect, load

Findings = list[tuple[Path, list[Diagnostic]]]


def check_files(files: Sequence[Path]) -> Findings:
    """The findings of each document, in the order given. Raises Refused where there is nothing to read."""
    if not files:
        raise Refused("check.no_files", "There is no document to check.", "Name one or more YAML files.")
    return [(file, inspect(read(file))[1]) for file in files]


def read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Refused("check.unreadable", f"{file} cannot be read: {reason}.") from error


def name_of(text: str) -> str:
    """The name that a valid document gives itself."""
    return load(text).name


def report(findings: Findings, console: Console, *, as_json: bool) -> None:
    """One line a finding: ``file:line:column: severity code: message`` and its hint."""
    if as_json:
        shown: list[dict[str, Any]] = [
            {"file": str(file), "findings": [msgspec.to_builtins(d) for d in found]} for file, found in findings
        ]
        print(json.dumps(shown))
        return
    for file, found in findings:
        for d in found:
            console.print(f"{file}:{d.line}:{d.column}: {d.severity} {d.code}: {d.message}", markup=False)
            if d.hint:
                console.print(f"    {d.hint}", markup=False)
        if not any(d.severity == "error" for d in found):
            console.print(f"{file}: good", markup=False)
