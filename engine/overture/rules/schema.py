"""Ruleset documents as JSON Schema, for editors: made of the tables that the reader goes by."""

from __future__ import annotations

from overture.rules.keys import ACTION, RULESET, STEP
from overture.rules.shapes import Schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def ruleset_schema(tests: Schema) -> Schema:
    """Every document without an error fits it, not the other way round: what expressions mean only the checker knows.

    ``tests``: the schema of the section of that name.
    """
    schema = RULESET.schema()
    schema["properties"]["tests"] |= tests
    return {
        "$schema": DIALECT,
        "title": "Overture ruleset",
        "description": "Which facts about a contact set off what.",
        **schema,
        "$defs": {"actions": {"type": "array", "items": ACTION.schema()}, "step": STEP.schema()},
    }
