"""Row (e): the pure step alone, in this process: no HTTP, no store."""

from __future__ import annotations

import time
from typing import Literal

from overture.decide import Plan, step
from overture.model import Contact, Fact
from overture.rules import link, load

SIZES = (1, 10, 100, 1000)
DOCUMENT = 100  # rules in one ruleset
NOW = 1_774_605_600_000


def facts_per_second(kind: Literal["durable", "reference"], rules: int, seconds: float) -> float:
    """Facts decided per second with so many rules on one fact type, of which each fact fires one."""
    documents = [_document(first, min(first + DOCUMENT, rules)) for first in range(0, rules, DOCUMENT)]
    plan = Plan(link([load(document) for document in documents], 1), kind)
    contacts = [Contact(f"c{i}") for i in range(100)]
    views = [{"path": f"/p{i % rules}", "depth": i % 7} for i in range(1000)]
    facts = [Fact(f"f{i}", "page_viewed", "", NOW, NOW, view) for i, view in enumerate(views)]
    done = 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        for i in range(200):
            contact = contacts[i % 100]
            contacts[i % 100] = step(contact, facts[(done + i) % 1000], plan, NOW).contact
        done += 200
    return done / (time.perf_counter() - began)


def _document(first: int, last: int) -> str:
    lines = [
        "apiVersion: overture/v1",
        "kind: Ruleset",
        f"name: bench-{first}",
        "facts: {page_viewed: {path: string, depth: number}}",
        f"scores: {{interest_{first}: {{}}}}",
        "rules:",
    ]
    for i in range(first, last):
        when = f'fact.type == "page_viewed" and fact.path == "/p{i}" and fact.depth >= 0'
        lines += [f"  r{i}:", f"    when: {when}", f"    then: [{{score: {{name: interest_{first}, add: 1}}}}]"]
    return "\n".join(lines)
