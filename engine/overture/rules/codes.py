# ruff: noqa: E501 - one code is one row of the table
"""Every diagnostic about a ruleset document, in one table: what it means. Codes are stable and are never reused.

``docs/diagnostics.md`` is made of the table, with an example of each that is tested, and how it is mended.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Code:
    title: str
    explanation: str
    severity: Literal["error", "warning"] = "error"


CODES: dict[str, Code] = {
    # --- the document as text -------------------------------------------------------------------------------
    "document.too_large": Code("The document is too large", "A ruleset document has at most 256 KiB and 500 rules."),
    "document.characters": Code(
        "A character that has no place in text",
        "Control characters, NUL, lone surrogates and Unicode line separators are refused, also when they are written as an escape.",
    ),
    "document.too_many_findings": Code("More than 200 findings", "The rest is not listed; the checking ended there."),
    "document.syntax": Code("Not valid YAML", "The text cannot be read as one YAML 1.2 (or JSON) document."),
    "document.too_deep": Code("Nested too deeply", "Lists and mappings are nested at most 32 levels deep."),
    "document.alias": Code(
        "Anchors and aliases are not used",
        "`&name` and `*name` are refused: a small text could stand for a huge one, and a diff would not show what it changes.",
    ),
    "document.tag": Code("Tags are not used", "A value's type follows from how it is written; `!tag` is refused."),
    "document.duplicate_key": Code("The same key twice", "Only one of them could count, so neither does."),
    "document.key": Code("A key must be text", "Keys of mappings are plain or quoted text."),
    # --- the frame of a ruleset -----------------------------------------------------------------------------
    "ruleset.kind": Code("Not a ruleset", "`kind` must be `Ruleset`."),
    "ruleset.api_version": Code("Unknown version", "`apiVersion` must be `overture/v1`."),
    "ruleset.name": Code(
        "A name that cannot be used",
        "Names of rulesets are lower-case letters, digits, `_` and `-`; names of rules, segments, journeys, scores, lists and templates may have "
        "upper-case letters too; fact types also dots. All begin with a letter or digit (traits and fields: a letter or `_`) and have "
        "at most 64 characters.",
    ),
    "ruleset.missing_key": Code("A required key is missing", "The message names it."),
    "ruleset.unknown_key": Code("A key that means nothing here", "Most often a typing mistake."),
    "ruleset.shape": Code("The wrong kind of value", "A mapping, a list, a text or a number was expected here."),
    "ruleset.not_yet": Code(
        "Not in this version",
        "The language has a place for it, this version of Overture does not do it yet: "
        "the actions task and call.",
    ),
    # --- declarations ---------------------------------------------------------------------------------------
    "type.unknown": Code(
        "Not a type",
        "Types are `string int number bool datetime list object any`; a `?` at the end marks a field that may be missing.",
    ),
    "fact.built_in": Code("A built-in fact type", "It is always known and cannot be declared again."),
    "fact.unknown": Code("An unknown fact type", "Declare it under `facts`; then its fields are checked too."),
    "field.reserved": Code(
        "A reserved field",
        "`type`, `id`, `occurred_at` of a fact and `id`, `scores`, `segments`, `lists` of a contact are there by themselves.",
    ),
    "trait.unknown": Code("An unknown trait", "Declare it under `traits`."),
    "const.value": Code("Not a constant", "A const is a text, a number, a boolean, or a list of these."),
    "score.unknown": Code("An unknown score", "Declare it under `scores`, or name it under `requires.scores`."),
    "score.bounds": Code("Bounds that exclude everything", "`min` must not exceed `max`."),
    "score.decay": Code(
        "A decaying score tends to 0",
        "`half_life` is a duration such as `14d`, and 0 must lie within the bounds of a score that decays.",
    ),
    "score.key": Code(
        "Key of a score",
        "A score declared with `per` is read with a key (`contact.scores.interest.seo`), one without is read without. "
        "In `on_enter` and `on_leave` the fact is not known, so a keyed score needs `per` in the action.",
    ),
    "segment.unknown": Code("An unknown segment", "Declare it under `segments`, or name it under `requires.segments`."),
    "segment.computed": Code("The segment follows its condition", "A segment with `when` is not entered or left by an action."),
    "segment.reads_fact": Code(
        "A segment or a `while` reads only the contact",
        "It is a state of the contact, so that it can be computed again at any time; a fact is gone after its step.",
    ),
    "segment.reads_all": Code(
        "Name the segment or list",
        "The condition of a segment or a `while` may ask for named segments and lists only; otherwise it would depend on every other one.",
    ),
    "segment.cycle": Code(
        "Segments that depend on each other",
        "Segments are computed in the order of their dependencies. A segment may read itself (to stay in more easily than it is entered), not others in a circle.",
    ),
    "list.unknown": Code("An unknown list", "Declare it under `lists`, or name it under `requires.lists`."),
    "channel.unknown": Code("An unknown channel", "Name the channels that the ruleset uses under `requires.channels`."),
    "scorer.unknown": Code("An unknown scorer", "Scorers come from plugins; `overture plugins` shows those that are installed."),
    "script.unknown": Code("An unknown script", "Declare it under `scripts`."),
    "script.taken": Code("A name that is taken", "A scorer of a plugin has the same name: `by` means the script.", "warning"),
    "script.main": Code(
        "No main",
        "A script has a function `main` at the beginning of a line; its parameters are `fact`, `contact` and `now`, as many of them as it needs, or `request`.",
    ),
    "script.limits": Code("Too much for a script", "At most 50 scripts of 32 KiB; a call takes at most one second."),
    "script.takes": Code(
        "Not what it takes",
        "`takes` names what main is given: `fact`, `contact` or parts of it, `now`; or `request` alone, for a script that makes facts of requests.",
    ),
    "script.changes": Code("It does not say what it changes", "The action `run` does of an answer what the script's `changes` name, and nothing else."),
    "script.syntax": Code("Not a script", "The code cannot be read as Python, or uses what scripts do not have."),
    "script.types": Code("The types do not fit", "The code was checked against the facts, traits and scores that the document declares."),
    "model.feature": Code("Not a feature", "Features are numbers, texts and booleans: of an instant take its age, of a list its length."),
    "model.limits": Code(
        "Too much for a model",
        "At most 10 models with 64 features each; `within` is at most 366d and 20 times `every`; a probability is from 0 to 1.",
    ),
    "model.taken": Code("A name that is taken", "`by` would not know which is meant: the model, or the script or scorer."),
    "scorer.config": Code("A scorer cannot work like this", "What stands under `with` is checked by the plugin that offers the scorer."),
    "choice.unknown": Code("An unknown choice", "Declare it under `choices`; a template by itself is written without `choice`."),
    "choice.variants": Code("Not a set of variants", "A choice has two to 20 variants, each with a name of its own."),
    "choice.bounds": Code(
        "Bounds of a choice",
        "`within` is at most a year, `keep` no shorter than `within`, and `explore` from 0.001 to 1: with less nobody could tell "
        "from what was shown what would have come of another way to choose.",
    ),
    # --- conditions -----------------------------------------------------------------------------------------
    "condition.syntax": Code("Not an expression", "Conditions have the syntax of Python expressions, on one logical line, without comments."),
    "condition.too_large": Code("The expression is too large", "At most 4 KB of text and 500 parts."),
    "condition.too_deep": Code("The expression is nested too deeply", "At most 40 levels."),
    "condition.not_allowed": Code(
        "Not part of the language",
        "Only comparisons, and / or / not, arithmetic, lists, fields of `fact`, `contact` and `consts`, and the functions of the language.",
    ),
    "condition.literal": Code(
        "A literal that is not taken",
        "Texts have at most 1,000 characters, without escapes for half of a character (`\\ud83d`), and numbers stay within ±2^53. There is no None: ask `has(x)`.",
    ),
    "condition.unknown_name": Code("An unknown name", "Expressions begin at `fact`, `contact` or `consts`, in a journey also at `journey` or `wait`; text stands in quotes."),
    "condition.unknown_function": Code(
        "An unknown function",
        "There are has, matches, len, min, max, abs, round, now, age, days, local, count, total, last, first, seen, and on text "
        ".startswith .endswith .contains .lower. Plugins add others: `overture plugins` shows those that are installed.",
    ),
    "condition.duration": Code(
        "Not a duration",
        "A number and a unit: `30s`, `30m`, `12h`, `7d`, `2w`; a day is 24 hours. A window may also be `today`, `this week` (from Monday) "
        "or `this month`, in the contact's time zone.",
    ),
    "condition.arguments": Code("Wrong arguments", "Too many, too few, or named ones."),
    "condition.pattern": Code("A pattern that does not compile", "`matches` takes an RE2 pattern, written as a literal."),
    "condition.unknown_field": Code(
        "An unknown field",
        "The field must be declared in every fact type that can get here, or as a trait. A typing mistake would make the rule silent for ever.",
    ),
    "condition.type": Code("Types that do not go together", "The comparison would always have the same answer."),
    "condition.no_fact_type": Code(
        "On which facts?",
        'A rule must say on which fact types it fires, so that it is not tried on every fact: `fact.type == "x"` or `fact.type in ["x", "y"]`.',
    ),
    "condition.optional_field": Code(
        "The field may be missing",
        "Every comparison with a missing field is false, also `!=` and `not in`; under `not` it turns true. Say what you mean with `has(x)`.",
        "warning",
    ),
    # --- history and time -----------------------------------------------------------------------------------
    "condition.clock": Code(
        "It cannot be told when this changes",
        "The condition of a segment or a `while` is followed without any fact, and so are `until`, `goal` and `exit_when` of a journey where they "
        "may come true without one, so it must be known when to look again. `now()` and `age(x)` are "
        "compared as sums or differences, a decaying score by itself; of `local(now())` all but the minute can be asked.",
    ),
    "history.where": Code(
        "What `where` reads",
        "`where` is answered once, when the fact comes. It reads that fact alone, not the clock or the history.",
    ),
    "history.saturates": Code(
        "More than is counted",
        "With `within` the newest 1,000 facts of a series are counted, so a windowed `count` never exceeds 1,000.",
        "warning",
    ),
    "history.too_long": Code(
        "The window is longer than what is remembered",
        "A contact's history is remembered for two years at most.",
    ),
    "history.too_many": Code(
        "Too many series",
        "A contact remembers one series for each fact type, field and `where` that history functions ask for, in whatever windows: "
        "200 of one ruleset at most, 500 of all that are active.",
    ),
    # --- rules and actions ----------------------------------------------------------------------------------
    "rule.never_fires": Code("The rule can never fire", "No fact can meet all parts of the condition at once."),
    "rule.shadowed": Code(
        "A rule that says nothing of its own",
        "Another rule does the same under the same condition, or always sets anew, later on the same fact, all that this one sets.",
        "warning",
    ),
    "rule.feedback": Code(
        "What it sets off changes what it follows",
        "Entering or leaving a segment changes a score, trait, list or segment that its own condition reads, perhaps by way of derived facts. "
        "It may swing to and fro until the step is rolled back; in a `while` it is refused.",
        "warning",
    ),
    "send.when": Code(
        "A best hour that does not go together",
        "`within` (at most 7d) and `otherwise` (a time of day) go with `when: best`, which is about the contact's own address.",
    ),
    "send.echoes": Code(
        "A message that sends itself once more",
        "Each message ends in a fact `message.sent`, `message.dropped` or `message.failed`. What sends on such a fact, whichever message it is about, "
        "sends again for its own message, for ever.",
        "warning",
    ),
    "while.cycle": Code(
        "A `while` reads what it does",
        "Its effects hold as long as its condition does, so the condition must not depend on them, also not by way of segments or derived facts.",
    ),
    "rule.derived_cycle": Code("Facts that derive each other", "A derived fact leads back to itself, so that the step would never come to rest."),
    "rule.trait_conflict": Code(
        "Two rules write the same trait",
        "Both can fire on the same fact with the same priority and set different values. Give one a higher priority or make their conditions exclude each other.",
    ),
    "join.parts": Code(
        "The parts of a join",
        "Two to four, each with one name, in this order: first, second, third, fourth. A later part may read the fields of earlier ones: `first.path`.",
    ),
    "while.action": Code(
        "What a `while` can do",
        "Only what can be taken back when its condition ends: `score` with `add` (not of a score that decays), `set`, and `list` with `add`.",
    ),
    "rule.once_per": Code("Not a once_per", "`contact`, a duration such as `30m` `12h` `1d`, or an expression such as `fact.order_id`."),
    "action.unknown": Code("An unknown action", "Actions: score, set, unset, list, segment, assert, issue, send, start, stop, run."),
    "action.shape": Code("One action is one key", "`then` is a list; each item is a mapping with exactly one action."),
    "action.choice": Code("Exactly one of two", "`score` takes add or set, `segment` enter or leave, `list` add or remove."),
    "value.type": Code("A value of the wrong type", "The value does not fit what is declared."),
    "value.may_be_missing": Code("The value may be missing", "Where the field is missing the action does nothing and says so in the trace.", "warning"),
    "assert.missing_property": Code("A property is missing", "A derived fact must have the fields that its type declares."),
    "send.channel_missing": Code("Through which channel?", "`to` is an address on one channel, so `channel` has to say on which."),
    "send.address_literal": Code("An address, not a template", "`to` names one address, a team's or a receiver's of webhooks, for every message. Without it a message goes to the address of its contact."),
    "send.purpose_missing": Code(
        "For which purpose?",
        "The contact's consent is given per channel and purpose, so a message needs one: marketing, transactional, or a name of yours.",
    ),
    "send.no_channels": Code(
        "No channel to choose from",
        "A `send` without `channel` leaves the choice to the gate, so the `sending.channels` of an active ruleset must have one that carries all that "
        "the message `needs`.",
    ),
    # --- journeys -------------------------------------------------------------------------------------------
    "journey.unknown": Code("An unknown journey", "`start` and `stop` name a journey of the same ruleset; declare it under `journeys`."),
    "journey.unknown_step": Code("An unknown step", "`go`, `then` and `else` name the id of a step of the same journey, or `end`."),
    "journey.duplicate_step": Code("Two steps of one id", "A position remembers the id of its step, so each is there once."),
    "journey.step": Code(
        "A step does one thing",
        "Exactly one of `wait`, `branch`, `split`, `go`, `do`, or one action. `then` stands beside a wait and what acts; the others say themselves where they lead.",
    ),
    "journey.wait": Code(
        "Not a wait",
        "`for` a duration, `at` an instant, `until_local` a time of day, perhaps `on` weekdays, or `until` a condition. `at` does not go with `for` or `until_local`.",
    ),
    "journey.branch": Code("Not a branch", "Cases are `{if: condition, go: step}`; `{else: step}` stands last and by itself."),
    "journey.split": Code("Not a split", "At least two ways, each with a name of its own, a whole number from 1 to 10,000 as weight, and where it leads."),
    "journey.winner": Code(
        "No winner can be found",
        "A split looks for the way on which most contacts reach the journey's `goal` `within` a time. It needs the goal, and on each way a wait, as who is not "
        "on the journey any more cannot reach it. `certainty` is from 0.5 to 0.9999.",
    ),
    "journey.key_missing": Code("The journey has no key", "`journey.key` is the value of the journey's `key`; this one declares none."),
    "journey.never_entered": Code("Nobody can enter", "The journey has no `enter_when`, and no action starts it.", "warning"),
    "journey.unreachable": Code("No way leads to this step", "It does nothing; most often a `then` or `go` before it leads past it.", "warning"),
    "journey.spins": Code(
        "A circle without a wait",
        "Steps that lead back to themselves need a wait between them, and so do journeys that start each other. A wait `at` an instant does not count: "
        "the second time it has passed. Nor does one until what holds already, unless a branch on it leads out.",
    ),
    "journey.endless": Code(
        "It could mail for ever",
        "A circle of steps sends, and there is no `exit_when`, no `goal`, and no branch that leads out of it. A split leads out only those who never "
        "come back: it sends the same contact the same way every time.",
    ),
    "form.field": Code(
        "Not what a form can ask",
        "A form asks each trait once, a `string`, `int`, `number`, `bool` or `datetime`; and its fact has no field of type `list` or `object`.",
    ),
    "sending.time": Code("Not a time of day", 'Times are written as `"09:00"` or `"21:30"`, and quiet hours do not end when they begin.'),
    # --- templates ------------------------------------------------------------------------------------------
    "template.unknown": Code("An unknown template", "Declare it under `templates`."),
    "template.empty": Code("A template without a body", "A template needs `text`, `html` or `mjml`; for e-mail also `subject`."),
    "template.too_large": Code("The template is too large", "At most 32 KiB each, 128 KiB with its blocks, 1,000 characters in one tag, 200 conditions, loops and blocks."),
    "template.syntax": Code("The template does not parse", "Templates have the syntax of minijinja."),
    "template.not_allowed": Code(
        "Not allowed in a template",
        "Templates have expressions, `if`, `for`, `set` and blocks; no other tags, no calls, and only harmless filters.",
    ),
    "template.mjml": Code(
        "The template is no MJML",
        "It is checked as it comes out whichever way its conditions go. A template has `html` or `mjml`, not both.",
    ),
    "template.data": Code(
        "The data of a template is no JSON",
        "It is an object, whichever way its conditions go. Values bring their own quotes.",
    ),
    "template.unknown_variable": Code("An unknown variable", "Templates read `contact`, `fact`, `issued`, `links`, `zone`, `locale`, what they set themselves and, in messages of a journey, `journey`; traits must be declared."),
    "template.may_be_missing": Code(
        "The variable may be missing",
        "A message with a missing variable is refused, never sent with a blank. Give a default.",
        "warning",
    ),
    "template.no_text": Code(
        "No plain text",
        "A mail has a plain text for those whose programs show no HTML. Without one of your own it is made from the HTML.",
        "warning",
    ),
    "template.viewport": Code("No viewport", "Phones show an HTML document without one as if they were as wide as a desk. MJML sees to it by itself.", "warning"),
    "template.alt_text": Code("A picture without words", "Many programs show no pictures, and who cannot see them is read their `alt`.", "warning"),
    "template.size": Code("A mail that is cut", "Gmail shows the first 102 KB of a mail's HTML; links at its end are gone.", "warning"),
    "template.link": Code("A link that leads nowhere", "A mail is read far from your pages: links are whole, begin with `https:` and lead to where everybody gets.", "warning"),
    "template.unsubscribe": Code("No link to unsubscribe", "A mail that needs consent says how to take it back, in what people read, not in its header alone.", "warning"),
    "template.subject": Code("A long subject", "Lists of mails show some 40 to 70 characters of it.", "warning"),
    "template.unquoted": Code(
        "A value that can bring markup along",
        "Values are escaped as text and in quoted attributes. Without quotes, and in `script` and `style`, that does not hold them together.",
        "warning",
    ),
    # --- blocks ---------------------------------------------------------------------------------------------
    "block.unknown": Code(
        "An unknown block",
        "Blocks are declared under `blocks`; those of another ruleset are named `ruleset/block` and required under `requires.blocks`.",
    ),
    "block.locked": Code(
        "The block is locked",
        "Its ruleset says `locked: true`: it is the same for everybody. Other rulesets include it, or extend it and fill its slots.",
    ),
    "block.part": Code("The block has nothing to say here", "A block that is included in a `text`, an `html` or an `mjml` has that part itself."),
    "block.slot": Code("The layout has no such slot", "What extends a layout fills slots of it, `{% block name %}`; anything else would not be shown."),
    "block.fill": Code(
        "Not what may stand in a slot of a locked layout",
        "Elements that begin there end there, and none of them changes how the rest looks: no `style`, `mj-style`, `mj-head`, `mj-raw`, `script`, no comment.",
    ),
    "block.circle": Code("Blocks that include each other", "They would never end. At most 10 blocks are in one another."),
    # --- tests ----------------------------------------------------------------------------------------------
    "test.empty": Code("A test that checks nothing", "A test needs a step `expect`, and an `expect` something to look at."),
    "test.name": Code("Two tests of one name", "A report would not tell them apart."),
    "test.step": Code("One step is one thing", "A step has exactly one of `fact`, `advance` and `expect`; beside `fact` also `backfill`."),
    "test.instant": Code("Not an instant", "Instants are written as RFC 3339 with an offset, such as `2026-03-27T10:00:00+01:00`."),
    "test.duration": Code("Not a duration", "`advance` takes a duration such as `30s` `15m` `12h` `3d` `2w`, or `{to: instant}`."),
    "test.backwards": Code("The clock goes forward only", "The instant lies before the one that the test has come to."),
    "test.fact": Code("The API would refuse it", "The message has the reason that the API would give; `docs/fact-errors.md` lists them all."),
    "test.fact_id": Code("One id, two facts", "The same fact under the same id takes effect once, as over HTTP; another fact needs another id."),
    "test.field": Code("An unknown field", "No ruleset that the test runs declares this field for this fact type."),
    "test.value": Code(
        "Not what is declared",
        "A field is missing, or has another type than declared. The fact is taken all the same, as over HTTP; conditions will not see that field.",
        "warning",
    ),
    "test.unknown": Code("Nothing has this name", "No action or rule of the rulesets that the test runs has it, so that the expectation says nothing."),
    "test.ruleset": Code(
        "An unknown ruleset",
        "`x.test.yaml` stands beside `x.yaml`; `rulesets` names further documents of that folder, on a server rulesets that are active.",
    ),
    # --- several rulesets together --------------------------------------------------------------------------
    "link.duplicate": Code("Declared twice", "Two active rulesets declare the same thing in different ways, or both give it content."),
    "link.unmet": Code("Nobody provides it", "A ruleset requires something that no active ruleset declares (or a channel that is not installed)."),
    "link.type_conflict": Code("Declared with different types", "Two active rulesets disagree on the type of a field or trait."),
}  # fmt: skip
