# ruff: noqa: E501 - one key is one row of a table
"""Every key of a ruleset document, in tables: what the reader takes, what editors show, in which order `fmt` writes it."""

from __future__ import annotations

import re

from overture.model.fact import TYPE_NAME
from overture.model.numbers import NUMBER_LIMIT
from overture.rules.durations import CALENDAR, DURATION, TIME_OF_DAY
from overture.rules.form import ASKABLE
from overture.rules.reading import BLOCK_NAME, FIELD_NAME, NAME, PRIORITY_LIMIT, RULES_LIMIT, RULESET_NAME
from overture.rules.shapes import Key, Schema, Shape, matching, named, some
from overture.rules.tree import ORDINALS
from overture.rules.types import DECLARABLE

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number", "minimum": -NUMBER_LIMIT, "maximum": NUMBER_LIMIT}
SPAN: Schema = {**matching(DURATION), "examples": ["30m", "12h", "7d"]}
CONDITION: Schema = {"type": "string", "minLength": 1}
PLAIN: Schema = {"anyOf": [TEXT, NUMBER, {"type": "boolean"}]}
VALUE: Schema = {"anyOf": [*PLAIN["anyOf"], {"type": "array", "maxItems": 500, "items": PLAIN}]}
TYPE: Schema = {"enum": [f"{kind}{mark}" for kind in DECLARABLE for mark in ("", "?")]}
ACTION_LIST: Schema = {"$ref": "#/$defs/actions"}
NAMED: Schema = matching(NAME)

CLOCK: Schema = {**matching(TIME_OF_DAY), "examples": ["09:00", "21:30"]}
WHOLE: Schema = {"type": "integer", "minimum": -PRIORITY_LIMIT, "maximum": PRIORITY_LIMIT}

IF_HELD = ("defer", "expire")
ON_REDEPLOY = ("finish_on_old", "migrate", "exit")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ON_ACTIVATE = ("silent", "apply")
MODEL_KINDS = ("online", "batch")
EXPLORE = 0.001, 1.0  # the least and the most of a choice that goes to all variants alike
VARIANTS = 2, 20  # of a choice
WHEN = ("best",)
WEIGHT_LIMIT = 10_000  # of a way of a split
SURE = 0.5, 0.9999  # the least and the most that a winner can be asked to be
CAP_LIMIT = 1000  # messages

_ABOUT = Key("What it is for, to people.", TEXT)


def _one_of(*names: str) -> Schema:
    return {"oneOf": [{"required": [name]} for name in names]}


REQUIRES = Shape({
    "channels": Key("Channels that messages of this ruleset go through.", some(NAMED)),
    "scores": Key("Scores that another ruleset declares.", some(NAMED)),
    "segments": Key("Segments that another ruleset declares.", some(NAMED)),
    "lists": Key("Lists that another ruleset declares.", some(NAMED)),
    "scorers": Key("Scorers of plugins that scores go by.", some(NAMED)),
    "blocks": Key("Blocks of other rulesets that templates are put together from, as `brand/footer`.", some(matching(BLOCK_NAME))),
})  # fmt: skip

DECAY = Shape({
    "half_life": Key("In each such span the score loses half of itself.", SPAN, required=True),
})  # fmt: skip

SCORE = Shape({
    "per": Key("A field of the fact: the score is kept for each of its values.", matching(FIELD_NAME)),
    "min": Key("It never falls below.", NUMBER),
    "max": Key("It never rises above.", NUMBER),
    "decay": Key("How it fades with time.", DECAY.schema()),
})  # fmt: skip

LIST = Shape({
    "channel": Key("With `purpose`: joining needs the contact's consent to it on this channel.", NAMED, required=True),
    "purpose": Key("What the consent must be for.", NAMED, required=True),
})  # fmt: skip

SESSIONS = Shape({
    "idle": Key("Facts of a contact without a pause as long as this are one visit.", SPAN, required=True),
    "types": Key("The fact types that make up a visit; by default whatever apps send.", some(matching(TYPE_NAME))),
})  # fmt: skip

DATA = Shape({
    "script": Key("The script that answers the object.", TEXT, required=True),
})  # fmt: skip

TEMPLATE = Shape({
    "subject": Key("What an e-mail's subject says.", TEXT),
    "text": Key("The message as plain text, with `{{ … }}` and `{% if … %}`.", TEXT),
    "html": Key("The message as HTML, with `{{ … }}` and `{% if … %}`.", TEXT),
    "mjml": Key("The message in MJML, of which the HTML is made, with `{{ … }}` and `{% if … %}`; in place of `html`.", TEXT),
    "data": Key("What programs that show the message are given beside it, as an object in JSON, with `{{ … }}` for whole values; or `{script: NAME}`, which answers it.", {"anyOf": [TEXT, DATA.schema()]}),
}, beyond={"oneOf": [{"required": ["html"]}, {"required": ["mjml"]}, {"required": ["text"], "not": {"anyOf": [{"required": ["html"]}, {"required": ["mjml"]}]}}]})  # fmt: skip

# --- scripts -----------------------------------------------------------------------------------------------------

CHANGES = Shape({
    "set": Key("Traits that it may set or remove.", some(matching(FIELD_NAME))),
    "score": Key("Scores that it may add points to.", some(NAMED)),
    "assert": Key("Types of facts that it may derive.", some(matching(TYPE_NAME))),
    "segment": Key("Segments that it may move contacts into and out of.", some(NAMED)),
    "list": Key("Lists that it may put contacts on, and take them off.", some(NAMED)),
})  # fmt: skip

SCRIPT = Shape({
    "description": _ABOUT,
    "takes": Key("What it is given, and depends on: `fact`, `contact`, `contact.traits.plan`, `contact.scores` …; by default all that main has parameters for.", some(TEXT)),
    "timeout": Key("How long a call may take; by default as long as the server's settings say.", {"type": "string", "pattern": "^[1-9][0-9]{0,3}ms$", "examples": ["20ms"]}),
    "changes": Key("What the action `run` may do of what it answers.", CHANGES.schema()),
    "code": Key("The script: Python, with `def main(fact, contact):`.", TEXT, required=True),
})  # fmt: skip

BLOCK = Shape({
    "description": _ABOUT,
    "locked": Key("No other ruleset may say it in other words; what extends it fills its slots.", {"type": "boolean"}),
    "text": Key("What it says in plain text.", TEXT),
    "html": Key("What it says in HTML.", TEXT),
    "mjml": Key("What it says in MJML: a piece of a mail, or with slots a whole one.", TEXT),
}, beyond={"anyOf": [{"required": [part]} for part in ("text", "html", "mjml")]})  # fmt: skip

# --- actions -----------------------------------------------------------------------------------------------------

SCORE_ACTION = Shape({
    "name": Key("The score.", TEXT, required=True),
    "add": Key("How many points more: a number, or an expression after `=`.", VALUE),
    "set": Key("What it is from now on.", VALUE),
    "by": Key("The scorer of a plugin, the script or the model that says what it is from now on.", TEXT),
    "with": Key("What that scorer goes by; its plugin says what there is.", {"type": ["object", "null"]}),
    "per": Key("The key, in place of the field that the declaration names.", VALUE),
}, beyond={**_one_of("add", "set", "by"), "dependentRequired": {"with": ["by"]}})  # fmt: skip

SET_ACTION = Shape({}, rest=VALUE, beyond={"propertyNames": {"pattern": matching(FIELD_NAME)["pattern"]}})

ASSERT_ACTION = Shape({
    "type": Key("The type of the fact that is derived.", TEXT, required=True),
    "properties": Key("Its fields.", named(FIELD_NAME, VALUE)),
})  # fmt: skip

SEGMENT_ACTION = Shape({
    "enter": Key("The contact comes into this segment.", TEXT),
    "leave": Key("The contact goes out of this segment.", TEXT),
}, beyond=_one_of("enter", "leave"))  # fmt: skip

LIST_ACTION = Shape({
    "add": Key("The contact joins this list, with the consent that it asks for.", TEXT),
    "remove": Key("The contact leaves this list.", TEXT),
}, beyond=_one_of("add", "remove"))  # fmt: skip

ISSUE_ACTION = Shape({
    "kind": Key("What the code is for; templates read it as `issued.<kind>.code`.", matching(FIELD_NAME), required=True),
}, rest=VALUE, beyond={"propertyNames": {"pattern": matching(FIELD_NAME)["pattern"], "not": {"const": "code"}}})  # fmt: skip

CHOSEN = Shape({
    "choice": Key("The choice whose variants are the templates.", NAMED, required=True),
})  # fmt: skip

SEND_ACTION = Shape({
    "channel": Key("Through which channel; without it the gate chooses among those of `sending.channels`.", TEXT),
    "template": Key("What it says: a template, or `{choice: …}`.", {"anyOf": [TEXT, CHOSEN.schema()]}, required=True),
    "purpose": Key("What the contact must have agreed to; `transactional` needs no consent.", NAMED),
    "to": Key("Another address than the contact's own.", TEXT),
    "needs": Key("What the channel must be able to carry, where the gate chooses it.", some(NAMED)),
    "priority": Key("Of messages that compete for one slot, the highest goes first.", WHOLE),
    "late": Key("How late it may be handed over; after that it is not sent.", SPAN),
    "if_held": Key("What becomes of it where the gate has no slot for it now: `defer` (the default) or `expire`.", {"enum": list(IF_HELD)}),
    "approval": Key("`required`: somebody has to agree before it goes.", {"enum": ["required"]}),
    "when": Key("`best`: it waits for the hour of the week at which the contact opens, clicks and visits most.", {"enum": list(WHEN)}),
    "within": Key("With `when`: how long it waits for that hour at most (24h).", SPAN),
    "otherwise": Key("With `when`: the time of day for contacts of whom nothing is known; without it, at once.", CLOCK),
}, beyond={"required": ["template", "purpose"], "dependentRequired": {"to": ["channel"], "within": ["when"], "otherwise": ["when"]}})  # fmt: skip

ACTION = Shape({
    "score": Key("Add points to a score, or set it.", SCORE_ACTION.schema()),
    "set": Key("Set traits of the contact.", SET_ACTION.schema()),
    "unset": Key("Remove traits of the contact.", some(matching(FIELD_NAME))),
    "assert": Key("Derive a fact about the same contact; it goes through the rules in the same step.", ASSERT_ACTION.schema()),
    "segment": Key("Move the contact into or out of a segment that has no condition.", SEGMENT_ACTION.schema()),
    "list": Key("Put the contact on a list, or take it off.", LIST_ACTION.schema()),
    "issue": Key("Make one unique code.", ISSUE_ACTION.schema()),
    "send": Key("Send a message.", SEND_ACTION.schema()),
    "start": Key("Begin a journey of this ruleset, as its `reentry` allows.", TEXT),
    "stop": Key("End the contact's way through a journey of this ruleset.", TEXT),
    "run": Key("Run a script, and do what it answers, as far as its `changes` say that it may.", TEXT),
}, later=("task", "call"), beyond={"minProperties": 1, "maxProperties": 1})  # fmt: skip

# --- rules and segments ------------------------------------------------------------------------------------------

JOIN = Shape({
    "all": Key(
        "Two to four facts that must come, in this order by when they occurred.",
        {
            "type": "array",
            "minItems": 2,
            "maxItems": len(ORDINALS),
            "prefixItems": [
                Shape({ordinal: Key("Which fact; it may read the fields of those before it.", CONDITION, required=True)}).schema()
                for ordinal in ORDINALS
            ],
        },
        required=True,
    ),
    "within": Key("From the first to the last at most this long.", SPAN, required=True),
})  # fmt: skip

WHILE = Shape({
    "description": _ABOUT,
    "while": Key("What the rule does holds as long as this condition over the contact holds.", CONDITION, required=True),
    "priority": Key("Rules fire highest first.", WHOLE),
    "then": Key("What holds, and is taken back: points, traits, lists.", ACTION_LIST, required=True),
})  # fmt: skip

RULE = Shape({
    "description": _ABOUT,
    "when": Key("On which facts of which contacts it fires.", {"anyOf": [CONDITION, JOIN.schema()]}, required=True),
    "while": Key("In place of `when`: what the rule does holds as long as this condition over the contact holds.", CONDITION),
    "priority": WHILE.keys["priority"],
    "once_per": Key("How often for one contact: `contact` (once), a duration, or an expression: once for each value.", TEXT),
    "then": Key("What it does.", ACTION_LIST, required=True),
})  # fmt: skip

SEGMENT = Shape({
    "description": _ABOUT,
    "when": Key("Who is in it: a condition over the contact. Without one, rules move contacts in and out.", CONDITION),
    "on_enter": Key("What is done when a contact comes in.", ACTION_LIST),
    "on_leave": Key("What is done when a contact goes out.", ACTION_LIST),
})  # fmt: skip

# --- journeys and sending ----------------------------------------------------------------------------------------

WAIT = Shape({
    "for": Key("This long; in days or weeks the clock on the wall shows the same afterwards.", SPAN),
    "at": Key("Up to this instant: an expression after `=`.", {"anyOf": [TEXT, NUMBER]}),
    "until_local": Key("Up to the next time that the contact's clock shows this.", CLOCK),
    "on": Key("With `until_local`: on one of these weekdays.", some({"enum": list(WEEKDAYS)})),
    "until": Key("Or until this holds, asked on each fact; afterwards `wait.matched` tells.", CONDITION),
}, beyond={"minProperties": 1})  # fmt: skip

CASE = Shape({
    "if": Key("A condition.", CONDITION),
    "go": Key("Where to, if it holds.", TEXT),
    "else": Key("Where to, if none holds; last.", TEXT),
}, beyond={"oneOf": [{"required": ["if", "go"]}, {"required": ["else"]}]})  # fmt: skip

WAY = Shape({
    "name": Key("What this way is called.", NAMED, required=True),
    "weight": Key("How many go this way, in proportion to the others.", {"type": "integer", "minimum": 1, "maximum": WEIGHT_LIMIT}, required=True),
    "go": Key("Where it leads.", TEXT, required=True),
})  # fmt: skip

WINNER = Shape({
    "within": Key("Whether a contact reached the goal in this time after the split is what counts of it.", SPAN, required=True),
    "certainty": Key("How certain it must be that one way is better than all others (0.95).", {"type": "number", "minimum": SURE[0], "maximum": SURE[1]}),
})  # fmt: skip

_KINDS = {
    "wait": Key("Stay.", WAIT.schema()),
    "branch": Key(
        "The first condition that holds says where to go; without `else` it goes on.",
        {"type": "array", "minItems": 1, "items": CASE.schema()},
    ),
    "split": Key(
        "By weight, the same way for the same contact every time.",
        {"type": "array", "minItems": 2, "items": WAY.schema()},
    ),
    "do": Key("Several actions, one after the other.", ACTION_LIST),
    "go": Key("Go to this step.", TEXT),
    **ACTION.keys,
}

STEP = Shape({
    "id": Key("What the step is called.", {**NAMED, "not": {"const": "end"}}, required=True),
    **_KINDS,
    "then": Key("The step after this one, in place of the following one; `end` is none.", TEXT),
    "winner": Key("With `split`: look for the way on which most reach the goal; who comes later goes it.", WINNER.schema()),
}, later=ACTION.later, beyond={"oneOf": [{"required": [kind]} for kind in _KINDS]})  # fmt: skip

REENTRY = Shape({
    "after": Key("Once so much time has passed since it ended.", SPAN, required=True),
})  # fmt: skip

JOURNEY = Shape({
    "description": _ABOUT,
    "enter_when": Key("On which facts of which contacts it begins; without it, only `start` begins it.", {"anyOf": [CONDITION, {"type": "null"}]}),
    "key": Key("An expression: a contact goes through it once for each of its values at a time.", CONDITION),
    "reentry": Key("Whether it begins again after it ended: `never` (the default), `always`, or `{after: 30d}`.", {"anyOf": [{"enum": ["never", "always"]}, REENTRY.schema()]}),
    "restart_when": Key("Where this holds it goes back to the first step, with this fact.", CONDITION),
    "exit_when": Key("Where this holds it ends.", CONDITION),
    "goal": Key("What it is for: where this holds it has reached it, and ends.", CONDITION),
    "on_redeploy": Key("What becomes of contacts on it when a new revision is activated: `finish_on_old` (the default), `migrate`, `exit`.", {"enum": list(ON_REDEPLOY)}),
    "steps": Key("What happens, in this order.", {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/step"}}, required=True),
})  # fmt: skip

PURPOSES = Key("For messages of these purposes; by default of all but `transactional`.", some(NAMED))

QUIET = Shape({
    "from": Key("From this time of day on, where the contact lives.", CLOCK, required=True),
    "to": Key("Up to this time, on the next day where it is the earlier one.", CLOCK, required=True),
    "purposes": PURPOSES,
})  # fmt: skip

CAP = Shape({
    "max": Key("So many messages to a contact.", {"type": "integer", "minimum": 1, "maximum": CAP_LIMIT}, required=True),
    "within": Key("In a duration, or `today`, `this week`, `this month`.", {"anyOf": [SPAN, {"enum": list(CALENDAR)}]}, required=True),
    "purposes": PURPOSES,
})  # fmt: skip

SENDING = Shape({
    "channels": Key("Channels that the gate may choose from, in order of preference, each with what it can carry beside text.", named(NAME, {"type": "array", "items": NAMED}, empty=False)),
    "quiet_hours": Key("When nothing is sent; what comes then is held until the end.", {"type": "array", "items": QUIET.schema()}),
    "caps": Key("How much one contact gets at most.", {"type": "array", "items": CAP.schema()}),
})  # fmt: skip

# --- choices -----------------------------------------------------------------------------------------------------

VARIANT = Shape({
    "if": Key("Whom it may be shown: a condition over the contact.", CONDITION),
})  # fmt: skip

CHOICE = Shape({
    "description": _ABOUT,
    "variants": Key(
        "What there is to choose from; names of templates where messages are sent by it.",
        {
            "anyOf": [
                {"type": "array", "minItems": VARIANTS[0], "maxItems": VARIANTS[1], "items": NAMED},
                {**named(NAME, VARIANT.schema(empty=True), empty=False), "minProperties": VARIANTS[0], "maxProperties": VARIANTS[1]},
            ]
        },
        required=True,
    ),
    "goal": Key("Which fact of a contact is the success of what it was shown.", CONDITION, required=True),
    "within": Key("In this time after it was shown.", SPAN, required=True),
    "explore": Key("Which part of the impressions goes to all variants alike, whatever is known of them (0.05).", {"type": "number", "minimum": EXPLORE[0], "maximum": EXPLORE[1]}),
    "keep": Key("How long a contact keeps its variant; without it, for good.", SPAN),
})  # fmt: skip

# --- models ------------------------------------------------------------------------------------------------------

MODEL = Shape({
    "description": _ABOUT,
    "predict": Key("The fact that tells that it has come: a condition on it.", CONDITION, required=True),
    "within": Key("In this time after the contact is scored.", SPAN, required=True),
    "every": Key("At most one example of a contact in this time; by default as long as `within`.", SPAN),
    "features": Key("What is known of the contact then: expressions over it, numbers, texts or booleans.", named(FIELD_NAME, CONDITION, empty=False), required=True),
    "kind": Key("`online` (the default): it learns from what comes. `batch`: it is trained by `overture train`.", {"enum": list(MODEL_KINDS)}),
    "otherwise": Key("What the score is before anything was learned; without it, it stays as it is.", {"type": "number", "minimum": 0, "maximum": 1}),
})  # fmt: skip

# --- forms -------------------------------------------------------------------------------------------------------

ASK_LIMIT = 20
FLAG: Schema = {"type": "boolean"}

FORM_FIELD = Shape({
    "trait": Key("The trait that the answer becomes.", matching(FIELD_NAME), required=True),
    "label": Key("What people read beside it; by default the trait's name.", TEXT),
    "type": Key("What the field takes; by default the type of the trait.", {"enum": list(ASKABLE)}),
    "required": Key("Where it is shown it must be answered. An e-mail address that is required is always asked, until it is known who answers.", FLAG),
    "prefill": Key("An identified visitor sees it filled in, in place of not at all.", FLAG),
    "options": Key("The only answers there are.", {"type": "array", "minItems": 1, "maxItems": 500, "items": PLAIN}),
})  # fmt: skip

FORM = Shape({
    "description": _ABOUT,
    "ask": Key("How many of the fields that are not known yet are asked at a time; by default all.", {"type": "integer", "minimum": 1, "maximum": ASK_LIMIT}),
    "fields": Key("What it may ask, the most important first.", {"type": "array", "minItems": 1, "items": FORM_FIELD.schema()}, required=True),
    "fact": Key("The type of the fact that each submission becomes; what it declares, the page says.", matching(TYPE_NAME), required=True),
})  # fmt: skip

# --- the document ------------------------------------------------------------------------------------------------

RULESET = Shape({
    "apiVersion": Key("The version of the language.", {"const": "overture/v1"}, required=True),
    "kind": Key("What the document is.", {"const": "Ruleset"}, required=True),
    "name": Key("The ruleset's name; a later document of the same name is a new revision of it.", matching(RULESET_NAME), required=True),
    "description": _ABOUT,
    "requires": Key("What other rulesets and the installation provide.", REQUIRES.schema(empty=True)),
    "facts": Key("Fact types that the rules name, with their fields and the types of these.", named(TYPE_NAME, named(FIELD_NAME, TYPE))),
    "traits": Key("Traits of a contact that are read or written here, with their types.", named(FIELD_NAME, TYPE)),
    "consts": Key("Values written once and read as `consts.<name>`.", named(FIELD_NAME, VALUE)),
    "scores": Key("Numbers that rules add up, one for each contact or one for each value of a key.", named(NAME, SCORE.schema(empty=True))),
    "lists": Key("Static lists, with the consent that joining needs.", named(NAME, {"anyOf": [LIST.schema(), {"type": ["object", "null"], "maxProperties": 0}]})),
    "sessions": Key("How facts make up visits; when one ends, `session.ended` is derived.", SESSIONS.schema(empty=True)),
    "sending": Key("What the gate holds all messages to, of all rulesets; only one may say it.", SENDING.schema(empty=True)),
    "holdout": Key("So many percent of the contacts get no message of this ruleset, to compare with.", {"type": "integer", "minimum": 0, "maximum": 100}),
    "rules": Key("When a fact comes, do this.", {**named(NAME, {"if": {"required": ["while"]}, "then": WHILE.schema(), "else": RULE.schema()}), "maxProperties": RULES_LIMIT}),
    "segments": Key("Groups that a contact is in or not.", named(NAME, SEGMENT.schema(empty=True))),
    "journeys": Key("Ways of a contact over time: steps that act, wait and branch.", named(NAME, JOURNEY.schema())),
    "forms": Key("Forms that ask for traits bit by bit, and never for one that is known.", named(NAME, FORM.schema())),
    "choices": Key("Variants of content, of which those are shown more often that do better.", named(NAME, CHOICE.schema())),
    "scripts": Key("What conditions and actions cannot say, in Python: the code itself, or a mapping with `code`.", named(NAME, {"anyOf": [TEXT, SCRIPT.schema()]})),
    "models": Key("How likely a contact is to do something, learned from what contacts do.", named(NAME, MODEL.schema())),
    "on_activate": Key("Where activation itself moves contacts into or out of segments: `apply` does what that sets off, `silent` (the default) does not.", {"enum": list(ON_ACTIVATE)}),
    "blocks": Key("Pieces that templates are put together from, of this ruleset and of others; a name such as `brand/footer` gives another's block other words here.", named(re.compile(rf"{NAME.pattern}|{BLOCK_NAME.pattern}"), BLOCK.schema())),
    "templates": Key("What messages say.", named(NAME, TEMPLATE.schema())),
    "tests": Key("What must come of which facts; it decides nothing.", {"type": "array"}),
})  # fmt: skip
