"""Actions: what a rule or a segment's edge does, read and checked."""

from __future__ import annotations

from overture.model.pure import Scoring
from overture.rules.actionparts import ActionParts, Declared
from overture.rules.durations import DAY, minute_of_day
from overture.rules.infer import Types
from overture.rules.keys import (
    ACTION,
    ASSERT_ACTION,
    CHOSEN,
    IF_HELD,
    ISSUE_ACTION,
    LIST_ACTION,
    SCORE_ACTION,
    SEGMENT_ACTION,
    SEND_ACTION,
    WHEN,
)
from overture.rules.learning import Model
from overture.rules.plugged import scoring
from overture.rules.presence import certain
from overture.rules.reading import FIELD_NAME, NAME, Reading
from overture.rules.report import did_you_mean
from overture.rules.ruleset import (
    Action,
    AssertAction,
    IssueAction,
    ListAction,
    RunAction,
    ScoreAction,
    SegmentAction,
    SendAction,
    SetAction,
    StartAction,
    StopAction,
    UnsetAction,
)
from overture.rules.scope import BUILT_IN, KEYED, PLAIN, Scope
from overture.rules.script import ScriptDecl
from overture.rules.tree import Node
from overture.rules.types import ANY, NUMBER, STRING
from overture.rules.yamltext import Mapping, Scalar, Sequence, YamlNode


class Actions(ActionParts):
    def __init__(self, reading: Reading, scope: Scope, declared: Declared) -> None:
        super().__init__(reading, scope, declared)
        self.readers = {
            "score": self.score,
            "set": self.set,
            "unset": self.unset,
            "assert": self.assert_,
            "segment": self.segment,
            "list": self.list,
            "issue": self.issue,
            "send": self.send,
            "start": self.start,
            "stop": self.stop,
            "run": self.run,
        }

    def read(self, node: YamlNode | None, types: Types, when: Node | None = None) -> tuple[Action, ...]:
        """The actions under ``then``, ``on_enter`` or ``on_leave``.

        ``types``: the facts they run on, None: unknown. ``when``: a condition that holds where they run.
        """
        return tuple(action for action, _ in self.placed(node, types, when))

    def placed(self, node: YamlNode | None, types: Types, when: Node | None) -> list[tuple[Action, YamlNode]]:
        """`read`, each with where it is written."""
        self.present, self.types = certain(when) if when is not None else frozenset(), types
        if node is None:
            return []
        if not isinstance(node, Sequence):
            self.report.add("ruleset.shape", "Actions are a list", node, "Begin each with a dash.")
            return []
        return [(action, item) for item in node.items if (action := self.one(item, types)) is not None]

    def one(self, node: YamlNode, types: Types) -> Action | None:
        if not isinstance(node, Mapping) or len(node.items) != 1:
            self.report.add(
                "action.shape", "An action is a mapping with one key", node, "Write - score: {name: lead, add: 5}"
            )
            return None
        (name, body), key = next(iter(node.items.items())), next(iter(node.keys.values()))
        return self.named(name, body, key, types)

    def named(self, name: str, body: YamlNode, key: Scalar, types: Types) -> Action | None:
        if name in ACTION.later:
            self.not_yet(f"action {name!r}", key)
            return None
        reader = self.readers.get(name)
        if reader is None:
            self.report.add(
                "action.unknown", f"There is no action {name[:80]!r}", key, did_you_mean(name, self.readers)
            )
            return None
        return reader(body, types)

    # --- the actions ----------------------------------------------------------------------------------------

    def score(self, node: YamlNode, types: Types) -> Action | None:
        body = self.body(node, "score")
        if body is None or not self.keys(body, SCORE_ACTION):
            return None
        name = self.text(body.items["name"], "name")
        choice = self.choice(body, "add", "set", "by")
        if "with" in body.items and choice and choice != "by":
            self.report.add("action.choice", "'with' is for the scorer that 'by' names", body.keys["with"])
        by = self.by(body, types) if choice == "by" else None
        amount = self.value(body.items[choice], NUMBER, types) if choice in ("add", "set") else None
        per = self.value(body.items["per"], STRING, types) if "per" in body.items else None
        if name is None or (amount is None and by is None):
            return None
        kind = self.scope.scores.get(name.text)
        if kind is None:
            hint = did_you_mean(name.text, self.scope.scores, "Declare it, or name it under requires.scores.")
            self.report.add("score.unknown", f"There is no score {name.text!r}", name, hint)
        elif kind == PLAIN and per is not None:
            self.report.add("score.key", f"The score {name.text!r} is one number, it has no key", body.keys["per"])
        elif kind == KEYED and per is None:
            self.key_from_fact(name, types)
        adds = choice == "add"
        return ScoreAction(name.text, amount if adds else None, None if adds else amount, per, by)

    def by(self, body: Mapping, types: Types) -> Scoring | ScriptDecl | Model | None:
        """What says what a score is: a script or a model of the document, or a plugin's scorer."""
        name = body.items["by"]
        own = self.declared.scripts.named | self.declared.models.named
        if not (isinstance(name, Scalar) and name.text in own):
            return scoring(self, body, self.scope.pure.scorers, own)
        if "with" in body.items:
            self.report.add("action.choice", "'with' is for scorers of plugins", body.keys["with"])
        if name.text in self.declared.models.named:
            return self.declared.models.declared.get(name.text)
        return self.declared.scripts.use(name, "score", types)

    def run(self, node: YamlNode, types: Types) -> Action | None:
        name = self.text(node, "run")
        script = self.declared.scripts.use(name, "run", types) if name else None
        return RunAction(script, script.changes) if script is not None and script.changes is not None else None

    def key_from_fact(self, name: Scalar, types: Types) -> None:
        """The key of a keyed score comes from a field that every fact which gets here must have."""
        field = self.declared.scores[name.text].per
        if types is None:
            self.report.add("score.key", f"The score {name.text!r} needs a key here", name, 'Add per: "…".')
            return
        for fact_type in sorted(types):
            kind = self.scope.field_of(fact_type, field)
            if kind is None:
                hint = "Declare the field, or add per to the action."
                self.report.add("condition.unknown_field", f"A {fact_type!r} has no field {field!r}", name, hint)
            elif not kind.fits(STRING) and kind.kind != "int":
                self.report.add("value.type", f"The key `fact.{field}` is {kind}, not a text", name)

    def set(self, node: YamlNode, types: Types) -> Action | None:
        values: dict[str, Node] = {}
        for name, value_node, key in self.entries(self.body(node, "set"), "set", FIELD_NAME):
            kind = self.trait(key)
            value = self.value(value_node, kind or ANY, types)
            if value is not None:
                values[name] = value
        return SetAction(values)

    def unset(self, node: YamlNode, types: Types) -> Action | None:
        names = self.texts(node, "unset", FIELD_NAME)
        for name in names:
            self.trait(name)
        return UnsetAction(tuple(name.text for name in names))

    def assert_(self, node: YamlNode, types: Types) -> Action | None:
        body = self.body(node, "assert")
        if body is None or not self.keys(body, ASSERT_ACTION):
            return None
        name = self.text(body.items["type"], "type")
        if name is None:
            return None
        known = self.scope.facts.keys() - BUILT_IN.keys()
        if name.text not in known:
            message = f"There is no fact type {name.text!r}"
            hint = did_you_mean(name.text, known, "Declare it under facts.")
            if name.text in BUILT_IN:
                message, hint = (
                    f"The fact type {name.text!r} is built in and cannot be asserted",
                    "Choose another name.",
                )
            self.report.add("fact.unknown", message, name, hint)
            return None
        fields = self.scope.facts[name.text]
        values: dict[str, Node] = {}
        for field, value_node, key in self.entries(body.items.get("properties"), "properties", FIELD_NAME):
            kind = fields.get(field)
            if kind is None:
                message = f"A {name.text!r} has no field {field!r}"
                self.report.add("condition.unknown_field", message, key, did_you_mean(field, fields))
            value = self.value(value_node, kind or ANY, types)
            if value is not None:
                values[field] = value
        given = self.mapping(body.items.get("properties"), "properties")
        for field, kind in fields.items():
            if not kind.optional and not (given and field in given.items):
                self.report.add("assert.missing_property", f"The property {field!r} of {name.text!r} is missing", name)
        return AssertAction(name.text, values)

    def segment(self, node: YamlNode, types: Types) -> Action | None:
        body = self.body(node, "segment")
        if body is None:
            return None
        self.keys(body, SEGMENT_ACTION)
        choice = self.choice(body, "enter", "leave")
        name = self.text(body.items[choice], choice) if choice else None
        if name is None:
            return None
        if name.text not in self.scope.segments:
            hint = did_you_mean(name.text, self.scope.segments, "Declare it, or name it under requires.segments.")
            self.report.add("segment.unknown", f"There is no segment {name.text!r}", name, hint)
        elif name.text in self.declared.computed:
            message = f"The segment {name.text!r} follows its condition"
            self.report.add("segment.computed", message, name, "Change what the condition reads.")
        return SegmentAction(name.text, choice == "enter")

    def list(self, node: YamlNode, types: Types) -> Action | None:
        body = self.body(node, "list")
        if body is None:
            return None
        self.keys(body, LIST_ACTION)
        choice = self.choice(body, "add", "remove")
        name = self.text(body.items[choice], choice) if choice else None
        if name is None:
            return None
        if name.text not in self.scope.lists:
            hint = did_you_mean(name.text, self.scope.lists, "Declare it, or name it under requires.lists.")
            self.report.add("list.unknown", f"There is no list {name.text!r}", name, hint)
        return ListAction(name.text, choice == "add")

    def issue(self, node: YamlNode, types: Types) -> Action | None:
        body = self.body(node, "issue")
        if body is None:
            return None
        self.keys(body, ISSUE_ACTION)
        kind = self.text(body.items.get("kind"), "kind")
        values: dict[str, Node] = {}
        for name, value_node, key in self.entries(body, "issue", FIELD_NAME):
            if name == "code":
                self.report.add("field.reserved", "The code is made by Overture", key, "Choose another name.")
            elif name != "kind" and (value := self.value(value_node, ANY, types)) is not None:
                values[name] = value
        if kind is None or not self.name(kind.text, kind, FIELD_NAME):
            return None
        return IssueAction(kind.text, values)

    def send(self, node: YamlNode, types: Types) -> Action | None:
        body = self.body(node, "send")
        if body is None or not self.keys(body, SEND_ACTION):
            return None
        channel, purpose, to = (self.text(body.items.get(name), name) for name in ("channel", "purpose", "to"))
        if to and "channel" not in body.items:
            message = "The message has an address, and no channel"
            self.report.add("send.channel_missing", message, body, "Add channel: email.")
        if to and "{{" in to.text:
            hint = "Leave it out: the message then goes to the contact's own address."
            self.report.add("send.address_literal", "The address is no template: it is taken as it stands", to, hint)
        if "purpose" not in body.items:
            hint = "Add purpose: marketing, or transactional, or a name of yours."
            self.report.add("send.purpose_missing", "The message has no purpose", body, hint)
        if channel and channel.text not in self.declared.channels:
            hint = did_you_mean(channel.text, self.declared.channels, "Name it under requires.channels.")
            self.report.add("channel.unknown", f"There is no channel {channel.text!r}", channel, hint)
        if purpose:
            self.name(purpose.text, purpose, NAME)
        choice, variants = self.templates(body.items["template"], channel.text if channel else "")
        best, otherwise = self.best_time(body, to is not None)
        if not (variants and purpose):
            return None
        late = self.text(body.items.get("late"), "late")
        return SendAction(
            channel.text if channel else "",
            "" if choice else variants[0],
            purpose.text,
            to.text if to else "",
            frozenset(need.text for need in self.texts(body.items.get("needs"), "Each of needs", NAME)),
            self.priority(body.items.get("priority")),
            (self.duration(late, "condition.duration") or None) if late else None,
            self.one_of(body.items.get("if_held"), "if_held", IF_HELD) == "expire",
            self.one_of(body.items.get("approval"), "approval", ("required",)) == "required",
            choice,
            variants if choice else (),
            best,
            otherwise,
        )

    def templates(self, node: YamlNode, channel: str) -> tuple[str, tuple[str, ...]]:
        """The choice, empty for none, and the templates that may be sent; none where it cannot be told."""
        if not isinstance(node, Mapping):
            named = self.text(node, "template")
            if named is None:
                return "", ()
            self.template(named.text, channel, named)
            return "", (named.text,)
        name = self.text(node.items["choice"], "choice") if self.keys(node, CHOSEN) else None
        if name is None:
            return "", ()
        choice = self.declared.choices.get(name.text)
        if name.text not in self.declared.choices:
            hint = did_you_mean(name.text, self.declared.choices, "Declare it under choices.")
            self.report.add("choice.unknown", f"There is no choice {name.text!r}", name, hint)
        if choice is None:
            return "", ()
        for variant in choice.variants:
            self.template(variant.name, channel, name)
        return choice.name, tuple(variant.name for variant in choice.variants)

    def template(self, name: str, channel: str, where: Scalar) -> None:
        declared = self.declared.templates.get(name)
        if declared is None:
            hint = did_you_mean(name, self.declared.templates, "Declare it under templates.")
            self.report.add("template.unknown", f"There is no template {name!r}", where, hint)
        elif channel == "email" and not declared.subject:
            self.report.add("template.empty", f"The template {name!r} has no subject for an e-mail", where)
        if declared is not None and declared.builder is not None:
            self.declared.scripts.seen(declared.builder, "data", self.types)

    def best_time(self, body: Mapping, addressed: bool) -> tuple[int, int | None]:
        """How long to wait for the best hour (0: not at all), and the minute of the day where none is known."""
        if "when" not in body.items:
            for name in ("within", "otherwise"):
                if name in body.items:
                    self.report.add("send.when", f"{name!r} goes with `when: best`", body.keys[name], "Add it.")
            return 0, None
        self.one_of(body.items["when"], "when", WHEN)
        if addressed:
            message = "A message to another address knows of no best hour"
            self.report.add("send.when", message, body.keys["when"], "Leave it out.")
        within = self.text(body.items.get("within"), "within")
        ms = self.duration(within, "condition.duration") if within else DAY
        if within and ms > 7 * DAY:
            self.report.add("send.when", "Hours come again after a week", within, "At most 7d.")
        text = self.text(body.items.get("otherwise"), "otherwise")
        minute = minute_of_day(text.text) if text else None
        if text and minute is None:
            self.report.add("send.when", f"{text.text[:80]!r} is not a time of day", text, 'Write "09:00".')
        return ms, minute

    def start(self, node: YamlNode, types: Types) -> Action | None:
        name = self.journey(node, "start")
        return StartAction(name.text) if name else None

    def stop(self, node: YamlNode, types: Types) -> Action | None:
        name = self.journey(node, "stop")
        return StopAction(name.text) if name else None
