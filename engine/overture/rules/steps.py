"""The steps of one journey, read and checked."""

from __future__ import annotations

from collections.abc import Mapping

from overture.rules.actions import Actions
from overture.rules.asking import Asking
from overture.rules.durations import DAY, calendar_days, minute_of_day
from overture.rules.journey import END, Branch, Contest, Do, JourneyStep, LocalTime, Split, Wait, Way
from overture.rules.keys import ACTION, CASE, STEP, SURE, WAIT, WAY, WEEKDAYS, WEIGHT_LIMIT, WINNER
from overture.rules.reading import NAME, Reading
from overture.rules.report import did_you_mean
from overture.rules.scope import Scope
from overture.rules.tree import Node
from overture.rules.types import NUMBER
from overture.rules.yamltext import Mapping as YamlMapping
from overture.rules.yamltext import Scalar, Sequence, YamlNode

LAST = "end"
"""How a document writes that there is no further step."""

LONGEST_WAIT = 3660 * DAY
LONGEST_CONTEST = 366 * DAY
CERTAINTY = 0.95  # of a winner
ACTING = ("do", *ACTION.keys)
KINDS = ("wait", "branch", "split", "go", *ACTING)


class Steps(Asking):
    """``scope`` is that of the journey, ``actions`` read in it."""

    def __init__(self, reading: Reading, scope: Scope, actions: Actions) -> None:
        super().__init__(reading, scope)
        self.actions = actions
        self.ids: dict[str, Scalar] = {}

    def read(self, node: YamlNode | None) -> dict[str, JourneyStep]:
        """In the order of the document."""
        if node is None:
            return {}
        if not isinstance(node, Sequence) or not node.items:
            self.report.add("ruleset.shape", "steps is a list of at least one step", node, "Begin each with a dash.")
            return {}
        bodies = [body for item in node.items if (body := self.body(item, "A step"))]
        own = [self.identify(body) for body in bodies]
        ids = [id for id in own if id]
        following = dict(zip(ids, [*ids, END][1:], strict=True))
        identified = [(id, body) for id, body in zip(own, bodies, strict=True) if id]
        return {id: step for id, body in identified if (step := self.step(id, body, following[id]))}

    def identify(self, body: YamlMapping) -> str:
        """The id of a step; empty where it has none that can be used."""
        id = self.text(body.items.get("id"), "id") if self.keys(body, STEP) else None
        if id is None or not self.name(id.text, id, NAME):
            return ""
        if id.text == LAST:
            self.report.add(
                "ruleset.name", "A step cannot be called 'end'", id, "It stands for the end of the journey."
            )
            return ""
        if id.text in self.ids:
            line = self.ids[id.text].place.line
            message = f"There is another step {id.text!r} in line {line}"
            self.report.add("journey.duplicate_step", message, id, "Rename one of them.")
            return ""
        self.ids[id.text] = id
        return id.text

    def step(self, id: str, body: YamlMapping, following: str) -> JourneyStep | None:
        kinds = [name for name in body.items if name in KINDS]
        place = self.ids[id].place
        if len(kinds) != 1:
            if not kinds and any(name in STEP.later for name in body.items):
                return None  # reported
            message = f"The step {id!r} does {' and '.join(kinds)}" if kinds else f"The step {id!r} does nothing"
            self.report.add(
                "journey.step", message, body, "A step has one of wait, branch, split, go, do, or an action."
            )
            return None
        (kind,) = kinds
        value = body.items[kind]
        if "then" in body.items and kind in ("branch", "split", "go"):
            self.report.add("journey.step", f"A {kind} says itself where it leads", body.keys["then"], "Remove `then`.")
        then = self.target(body.items["then"], "then") if "then" in body.items else following
        if "winner" in body.items and kind != "split":
            self.report.add("journey.winner", f"A {kind} has no winner", body.keys["winner"], "Only a split has ways.")
        match kind:
            case "wait":
                return self.wait(id, value, then)
            case "branch":
                return self.branch(id, value, following)
            case "split":
                return self.split(id, value, body.items.get("winner"))
            case "go":
                return Do(id, (), self.target(value, "go"), place)
            case "do":
                return Do(id, self.actions.read(value, None), then, place)
            case _:
                action = self.actions.named(kind, value, body.keys[kind], None)
                return Do(id, (action,) if action else (), then, place)

    def target(self, node: YamlNode, what: str) -> str:
        """The id of another step, or none."""
        to = self.text(node, what)
        if to is None or to.text == LAST:
            return END
        if to.text not in self.ids:
            hint = did_you_mean(to.text, (*self.ids, LAST))
            self.report.add("journey.unknown_step", f"There is no step {to.text[:80]!r}", to, hint)
            return END
        return to.text

    # --- waiting --------------------------------------------------------------------------------------------

    def wait(self, id: str, node: YamlNode, then: str) -> Wait | None:
        body = self.body(node, "wait")
        if body is None:
            return None
        self.keys(body, WAIT)
        items = body.items
        if not items.keys() & {"for", "at", "until_local", "until"}:
            self.report.add("journey.wait", "This waits for nothing", body, "Write {for: 3d}, or until a condition.")
        if "at" in items and items.keys() & {"for", "until_local"}:
            self.report.add("journey.wait", "`at` is an instant of its own", body.keys["at"], "Use one of them.")
        if "on" in items and "until_local" not in items:
            self.report.add("journey.wait", "`on` says on which days `until_local` is", body.keys["on"], "Add it.")
        text = self.text(items.get("for"), "for")
        ms = self.duration(text, "condition.duration") if text else 0
        if text and ms > LONGEST_WAIT:
            self.report.add("condition.duration", "A wait of more than ten years", text, "At most 3660d.")
        days = calendar_days(text.text) if text else 0
        at = self.actions.value(items["at"], NUMBER, None) if "at" in items else None
        until = self.asked(items.get("until"), followed=True)
        return Wait(id, then, 0 if days else ms, days, at, self.local(items), until, self.ids[id].place)

    def local(self, items: Mapping[str, YamlNode]) -> LocalTime | None:
        text = self.text(items.get("until_local"), "until_local")
        if text is None:
            return None
        minute = minute_of_day(text.text)
        if minute is None:
            self.report.add("journey.wait", f"{text.text[:80]!r} is not a time of day", text, 'Write "09:00".')
        days: set[int] = set()
        for day in self.texts(items.get("on"), "Each of on"):
            if day.text in WEEKDAYS:
                days.add(WEEKDAYS.index(day.text) + 1)
            else:
                hint = f"Write {', '.join(WEEKDAYS)}."
                self.report.add("journey.wait", f"{day.text[:80]!r} is not a weekday", day, hint)
        return LocalTime(minute or 0, frozenset(days))

    # --- choosing -------------------------------------------------------------------------------------------

    def branch(self, id: str, node: YamlNode, following: str) -> Branch | None:
        cases: list[tuple[Node, str]] = []
        otherwise = following
        bodies = self.listed(node, "branch")
        for i, body in enumerate(bodies):
            self.keys(body, CASE)
            if "else" in body.items:
                otherwise = self.target(body.items["else"], "else")
                if len(body.items) > 1 or i < len(bodies) - 1:
                    self.report.add("journey.branch", "`else` stands last and by itself", body.keys["else"])
            elif not body.items.keys() >= {"if", "go"}:
                self.report.add("journey.branch", "A case has `if` and `go`", body, "Write {if: condition, go: step}.")
            else:
                to, when = self.target(body.items["go"], "go"), self.asked(body.items["if"])
                if when is not None:
                    cases.append((when, to))
        return Branch(id, tuple(cases), otherwise, self.ids[id].place) if bodies else None

    def split(self, id: str, node: YamlNode, winner: YamlNode | None) -> Split | None:
        ways: list[Way] = []
        for body in self.listed(node, "split"):
            if not self.keys(body, WAY):
                continue
            name = self.text(body.items["name"], "name")
            weight = self.whole(body.items["weight"], "A weight", 1, WEIGHT_LIMIT, "journey.split")
            to = self.target(body.items["go"], "go")
            if weight is not None and name and self.name(name.text, name, NAME):
                if any(way.name == name.text for way in ways):
                    self.report.add("journey.split", f"There are two ways {name.text!r}", name, "Rename one of them.")
                ways.append(Way(name.text, weight, to))
        if isinstance(node, Sequence) and len(node.items) < 2:
            self.report.add("journey.split", "A split has at least two ways", node)
        contest = self.contest(winner)
        return Split(id, tuple(ways), self.ids[id].place, contest) if ways else None

    def contest(self, node: YamlNode | None) -> Contest | None:
        body = None if node is None else self.body(node, "winner")
        if body is None or not self.keys(body, WINNER):
            return None
        text = self.text(body.items["within"], "within")
        ms = self.duration(text, "condition.duration") if text else 0
        if text and ms > LONGEST_CONTEST:
            self.report.add("journey.winner", "A contact would count after more than a year", text, "At most 366d.")
        certainty = body.items.get("certainty")
        if certainty is None:
            return Contest(ms, CERTAINTY)
        sure = self.number(certainty, "certainty")
        if sure is not None and not SURE[0] <= sure <= SURE[1]:
            self.report.add("journey.winner", f"certainty is from {SURE[0]} to {SURE[1]}", certainty, "Write 0.95.")
        return Contest(ms, float(sure or CERTAINTY))

    def listed(self, node: YamlNode, what: str) -> list[YamlMapping]:
        if isinstance(node, Sequence) and node.items:
            return [body for item in node.items if (body := self.body(item, f"Each of {what}"))]
        self.report.add("ruleset.shape", f"{what} is a list of at least one", node, "Begin each with a dash.")
        return []
