# ruff: noqa: E501 - one key is one row of a table
"""Every key of a test document, in tables, as in `overture.rules.keys`."""

from __future__ import annotations

import re

from overture.model.fact import TYPE_NAME
from overture.rules.keys import SPAN, TEXT
from overture.rules.reading import RULESET_NAME
from overture.rules.schema import DIALECT, ruleset_schema
from overture.rules.shapes import Key, Schema, Shape, matching, named, some

_ANYTHING = re.compile(r".*")
_INSTANT: Schema = {"type": "string", "examples": ["2026-03-27T10:00:00+01:00"]}
_HOW_OFTEN: Schema = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "array", "items": {"type": "object"}}]}
_CODE: Schema = {"type": ["string", "null"]}
_STATES: Schema = {"type": "object", "additionalProperties": {"enum": ["granted", "pending", "denied"]}}
_CONSENT: Schema = {"type": ["object", "null"], "additionalProperties": _STATES}


def _by_name(value: Schema) -> Schema:
    return named(_ANYTHING, value, empty=False)


FACT = Shape({
    "type": Key("Its type, as apps send it.", matching(TYPE_NAME), required=True),
    "id": Key("The id under which it takes effect once.", TEXT),
    "occurred_at": Key("When it happened, if that is not now.", _INSTANT),
    "context": Key("What its sender, or an enricher, says of it besides.", {"type": "object"}),
}, rest={})  # fmt: skip

ADVANCE = Shape({"to": Key("The instant that the clock goes to.", _INSTANT, required=True)})

MESSAGE = Shape({
    "channel": Key("Through which channel it went.", TEXT),
    "template": Key("Which template it says.", TEXT),
    "purpose": Key("Its purpose.", TEXT),
    "to": Key("The address that it went to.", TEXT),
    "rule": Key("The rule that sent it, as ruleset/rule.", TEXT),
    "subject": Key("Its subject.", TEXT),
    "text": Key("A part of its plain text.", TEXT),
    "html": Key("A part of its HTML.", TEXT),
})  # fmt: skip

EXPECT = Shape({
    "scores": Key("What scores have come to.", _by_name({"anyOf": [{"type": "number"}, _by_name({"type": "number"})]})),
    "traits": Key("What traits are now; null: not there.", _by_name({})),
    "segments": Key("Whether the contact is in a segment.", _by_name({"type": "boolean"})),
    "lists": Key("Whether the contact is on a list.", _by_name({"type": "boolean"})),
    "sent": Key("Exactly the messages since the last `expect`; [] for none.", {"type": "array", "items": MESSAGE.schema()}),
    "facts": Key("Which facts rules derived since the last `expect`: how many, or their properties.", _by_name(_HOW_OFTEN)),
    "issued": Key("Which codes were issued since the last `expect`: how many, or their properties.", _by_name(_HOW_OFTEN)),
    "held": Key("Why a message waits that the send gate kept since the last `expect`; null: none of that name does.", _by_name(_CODE)),
    "suppressed": Key("Why something was not done since the last `expect`; null: nothing of it was held back.", _by_name(_CODE)),
    "journey": Key("At which step of a journey the contact stands, for each key; ended, end:goal …: no longer; null: it never began.", _by_name({"anyOf": [_CODE, _by_name(_CODE)]})),
    "error": Key("Why the last fact was rolled back; null: it was not.", _CODE),
}, beyond={"minProperties": 1})  # fmt: skip

STEP = Shape({
    "fact": Key("A fact comes in.", FACT.schema()),
    "backfill": Key("The fact is recorded history: state changes, nothing is sent.", {"type": "boolean"}),
    "advance": Key("The clock goes on, by a duration or to an instant.", {"anyOf": [SPAN, ADVANCE.schema()]}),
    "expect": Key("What must have come of it.", EXPECT.schema()),
}, beyond={
    "oneOf": [{"required": [one]} for one in ("fact", "advance", "expect")],
    "dependentRequired": {"backfill": ["fact"]},
})  # fmt: skip

LEARNED = Shape({
    "intercept": Key("The logarithm of the odds where no feature says anything; 0 is one half.", {"type": "number"}, required=True),
    "weights": Key("What each adds to it: a number by its name, a text as `country=DE`, what is missing as `country?`.", _by_name({"type": "number"}), required=True),
})  # fmt: skip

TEST = Shape({
    "name": Key("What must hold, in a few words.", TEXT, required=True),
    "at": Key("Where the clock starts.", _INSTANT),
    "contact": Key("What is known before: traits, identifiers, and `consent` by channel and purpose.", {"type": ["object", "null"], "properties": {"consent": _CONSENT}}),
    "learned": Key("What models of the ruleset have learned, by name; without an entry, nothing.", _by_name(LEARNED.schema())),
    "rulesets": Key("Other rulesets that run too.", some(matching(RULESET_NAME))),
    "steps": Key("What happens, one thing after the other.", {"type": "array", "items": STEP.schema()}, required=True),
})  # fmt: skip

TESTS: Schema = {"type": "array", "items": TEST.schema()}

TEST_DOCUMENT = Shape({"tests": Key("The tests of the ruleset beside this document.", TESTS, required=True)})


def schema_of_rulesets() -> Schema:
    """The JSON Schema of a ruleset document, its tests included."""
    return ruleset_schema(TESTS)


def schema_of_tests() -> Schema:
    """The JSON Schema of a document that holds nothing but tests."""
    return {"$schema": DIALECT, "title": "Overture tests of a ruleset", **TEST_DOCUMENT.schema()}
