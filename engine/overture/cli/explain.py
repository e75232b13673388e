"""An explanation for a person: the sentence, then the condition as a tree with the values that it saw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

_HEADS = {"and": "all of", "or": "any of", "not": "not"}


def show(explanation: dict[str, Any], console: Console) -> None:
    """Print what ``GET /v1/contacts/{id}/explain`` answered."""
    e = explanation
    other = next((f"{what} {e[what]}" for what in ("journey", "choice") if e[what]), f"segment {e['segment']}")
    subject = e["rule"] or other
    contact = e["contact"] if e["contact"] == e["decided_for"] else f"{e['decided_for']} (now {e['contact']})"
    _line(console, f"{subject}, {contact}: {e['outcome'].replace('_', ' ')}", style="bold")
    _line(console, e["sentence"])
    if e["note"]:
        _line(console, e["note"], style="yellow")
    for told in _circumstances(e):
        _line(console, told, style="dim")
    if e["condition"]:
        console.print()
        for line in _tree(e["condition"], 0):
            console.print(line)
    for position in e["positions"][1:]:  # the first one is what the sentence tells of
        _line(console, position["sentence"])
    if e["effects"]:
        console.print()
        for effect in e["effects"]:
            _line(console, _effect(effect))
    for message in e["messages"]:
        because = f": {message['reason']}" if message["reason"] else ""
        by = f" by {message['channel']}" if message["channel"] else ""
        _line(console, f"message {message['id']}{by} is {message['state'].replace('_', ' ')}{because}")


def _circumstances(e: dict[str, Any]) -> Iterator[str]:
    if fact := e["fact"]:
        yield f"fact {fact['id']} of type {fact['type']}, {fact['occurred_at']}"
    if e["since"]:
        yield f"since {e['since']}"
    decided, active = e["revision"], e["active_revision"]
    if decided and decided == active:
        yield f"revision {decided}, which is active"
    elif decided:
        yield f"decided by revision {decided}, active is {active or 'none'}"
    elif active:
        yield f"active is revision {active}"


def _tree(node: dict[str, Any], depth: int) -> Iterator[Text]:
    line = Text("  " * depth)
    line.append("✓ " if node["holds"] else "✗ ", style="green" if node["holds"] else "red")
    weight = "" if node["decided"] else "dim"
    if node["kind"] == "test":
        line.append(node["text"], style=weight)
        values = ", ".join(f"{o['text']} = {o['said']}" for o in node["operands"])
        line.append(f"    {values}" if values else "", style="cyan")
    else:
        line.append(_HEADS[node["kind"]], style=weight)
    if node["first_failing"]:
        line.append("  ← failed first", style="bold red")
    yield line
    for term in node["terms"]:
        yield from _tree(term, depth + 1)


def _effect(effect: dict[str, Any]) -> str:
    name = f"{effect['name']}[{effect['key']}]" if effect["kind"] == "score" and effect["key"] else effect["name"]
    if effect["reason"]:
        return f"not done: {effect['kind']} {name} ({effect['reason']})"
    if effect["before"] is None and effect["after"] is None:
        return f"{effect['kind']} {name}"
    return f"{effect['kind']} {name}: {effect['before']} → {effect['after']}"


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style))
