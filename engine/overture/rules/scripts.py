"""The section ``scripts``: read, and checked against what the document declares and where it uses them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from overture.model.fact import TYPE_NAME
from overture.model.ids import digest
from overture.model.script import Script
from overture.rules.infer import Types
from overture.rules.keys import CHANGES, SCRIPT
from overture.rules.reading import FIELD_NAME, NAME, Reading
from overture.rules.report import did_you_mean
from overture.rules.scope import BUILT_IN, Scope
from overture.rules.script import CONTACT_PARTS, ROOTS, Changes, ScriptDecl
from overture.rules.scripttypes import Use, annotated, stub
from overture.rules.tree import Place
from overture.rules.yamltext import Mapping, Scalar, YamlNode

SCRIPTS = 50  # of one ruleset
SOURCE_BYTES = 32 * 1024
LONGEST_MS = 1_000
_MAIN = re.compile(r"^def main\(([^()=*]*)\)[ \t]*(->[^:\n]+)?:", re.MULTILINE)
_PARAMETER = re.compile(r"\s*([A-Za-z_]\w*)\s*(?::[^,]*)?")
_BRACKETS = re.compile(r"\[[^\[\]]*\]")
_TIME = re.compile(r"([1-9][0-9]{0,3})ms")
_HOW = "Write def main(fact, contact):, at the beginning of a line."


class Scripts(Reading):
    """Reads the declarations; whoever names a script says so by `use`; `check` reads the sources, after everything.

    ``computed``: segments that follow a condition.
    """

    def __init__(self, reading: Reading, scope: Scope, computed: Collection[str]) -> None:
        super().__init__(reading.report)
        self.scope = scope
        self.computed = computed
        self.declared: dict[str, ScriptDecl] = {}
        self.sources: dict[str, Scalar] = {}
        self.uses: dict[str, list[tuple[Use, Types]]] = {}
        self.named: frozenset[str] = frozenset()  # all that are there, those too that are wrong

    def read(self, node: YamlNode | None) -> None:
        """After everything that scripts may change has been declared."""
        self.named = frozenset(node.items) if isinstance(node, Mapping) else frozenset()
        if isinstance(node, Mapping) and len(node.items) > SCRIPTS:
            self.report.add("script.limits", f"A ruleset has at most {SCRIPTS} scripts", node, "Split the ruleset.")
            return
        for name, value, key in self.entries(node, "scripts"):
            if name in self.scope.pure.scorers:
                message = f"A plugin's scorer is called {name!r} too"
                self.report.add("script.taken", message, key, "Choose another name.")
            body = value if isinstance(value, Mapping) else None
            if body is not None and not self.keys(body, SCRIPT):
                continue
            if body is not None:
                self.text(body.items.get("description"), "description")
            code = self.text(value if body is None else body.items["code"], f"The script {name!r}")
            if code is None:
                continue
            decl = self.script(name, code, Mapping({}, {}, key.place, key.pointer) if body is None else body, key.place)
            if decl is not None:
                self.declared[name], self.sources[name] = decl, code

    def script(self, name: str, code: Scalar, body: Mapping, place: Place) -> ScriptDecl | None:
        if len(code.text.encode()) > SOURCE_BYTES:
            self.report.add("script.limits", f"The script {name!r} has more than 32 KiB", code, "Split it.")
            return None
        parameters = self.parameters(code)
        if parameters is None:
            return None
        takes = self.takes(body, parameters)
        changes = self.changes(body.items["changes"]) if "changes" in body.items else None
        id = digest("script", self.scope.owner, name, code.text)[:10].hex()
        script = Script(self.scope.owner, name, id, code.text, self.time(body.items.get("timeout")))
        return ScriptDecl(script, takes, changes, place)

    def parameters(self, code: Scalar) -> tuple[str, ...] | None:
        """Those of main; None and reported where it has none that can be used."""
        main = _MAIN.search(code.text)
        if main is None:
            self.report.add("script.main", "The script has no main that can be called", code, _HOW)
            return None
        written = _BRACKETS.sub("", _BRACKETS.sub("", main[1]))
        found = [_PARAMETER.fullmatch(each) for each in written.split(",")] if written.strip() else []
        names = tuple(each[1] if each else "" for each in found)
        unknown = next((name for name in names if name not in ROOTS), None)
        if unknown is None and len(set(names)) == len(names):
            return names
        place = code.locator()(main.start())
        hint = f"There are: {', '.join(ROOTS)}."
        message = f"main can take {' and '.join(ROOTS[:2])}, and not {unknown!r}" if unknown else "main takes one twice"
        self.report.at("script.main", message, place, code.pointer, hint)
        return None

    def takes(self, body: Mapping, parameters: Iterable[str]) -> tuple[str, ...]:
        """Without ``takes``: all of what main has parameters for."""
        if "takes" not in body.items:
            paths = set(parameters)
        else:
            written = self.texts(body.items["takes"], "Each of takes", _PATH)
            paths = {text.text for text in written if self.known(text)}
            roots = {path.partition(".")[0] for path in paths}
            for name in sorted(roots ^ set(parameters)) if len(paths) == len(written) else ():
                what = "is taken, and main has no such parameter" if name in roots else "of main is not taken"
                self.report.add("script.takes", f"{name!r} {what}", body.keys["takes"])
        if "request" in paths and len(paths) > 1:
            hint = "It is given a request, and nothing else: which contact it is about, its facts say."
            self.report.add("script.takes", "A script that transforms requests takes nothing else", body, hint)
        return tuple(sorted(paths))

    def known(self, path: Scalar) -> bool:
        root, *rest = path.text.split(".", 2)
        known: Iterable[str] = ROOTS
        name = root
        if root == "contact" and rest:
            known, name = CONTACT_PARTS, rest[0]
            if len(rest) == 2 and name in ("traits", "scores"):
                known, name = (self.scope.traits if name == "traits" else self.scope.scores), rest[1]
        elif rest:
            name = path.text
        if name in known and not (root == "contact" and len(rest) == 2 and rest[0] not in ("traits", "scores")):
            return True
        self.report.add("script.takes", f"There is no {path.text[:80]!r} to take", path, did_you_mean(name, known))
        return False

    def time(self, node: YamlNode | None) -> int:
        text = self.text(node, "timeout")
        if text is None:
            return 0
        found = _TIME.fullmatch(text.text)
        if found is None or int(found[1]) > LONGEST_MS:
            message = f"{text.text[:80]!r} is not a time that a script can take"
            self.report.add("script.limits", message, text, f"Write 50ms; at most {LONGEST_MS}ms.")
            return 0
        return int(found[1])

    def changes(self, node: YamlNode) -> Changes | None:
        body = self.body(node, "changes")
        if body is None:
            return None
        self.keys(body, CHANGES)
        scope, apps = self.scope, self.scope.facts.keys() - BUILT_IN.keys()
        traits = self.names(body, "set", FIELD_NAME, scope.traits, "trait.unknown", "trait")
        facts = self.names(body, "assert", TYPE_NAME, apps, "fact.unknown", "fact type")
        return Changes(
            {name: scope.traits[name] for name in traits},
            frozenset(self.names(body, "score", NAME, scope.scores, "score.unknown", "score")),
            {name: scope.facts[name] for name in facts},
            frozenset(self.names(body, "segment", NAME, scope.segments, "segment.unknown", "segment")),
            frozenset(self.names(body, "list", NAME, scope.lists, "list.unknown", "list")),
        )

    def names(
        self, body: Mapping, part: str, pattern: re.Pattern[str], known: Iterable[str], code: str, what: str
    ) -> list[str]:
        found: list[str] = []
        there = set(known)
        for text in self.texts(body.items.get(part), f"Each of changes.{part}", pattern):
            if text.text in there:
                found.append(text.text)
                if part == "segment" and text.text in self.computed:
                    message = f"The segment {text.text!r} follows its condition"
                    self.report.add("segment.computed", message, text, "Change what the condition reads.")
                continue
            self.report.add(code, f"There is no {what} {text.text!r}", text, did_you_mean(text.text, there))
        return found

    # --- how they are used --------------------------------------------------------------------------------------

    def use(self, name: Scalar, how: Use, types: Types) -> ScriptDecl | None:
        """The script that is named where something is done on facts of some types (None: it is not known)."""
        decl = self.find(name)
        if decl is None:
            return None
        if how == "run" and decl.changes is None:
            message = f"The script {name.text!r} does not say what it may change"
            self.report.add("script.changes", message, name, "Declare changes: {set: […], score: […], …}.")
        self.seen(decl, how, types)
        return decl

    def find(self, name: Scalar) -> ScriptDecl | None:
        """The script that is named, where facts are decided."""
        decl = self.declared.get(name.text)
        if decl is None:
            if name.text not in self.named:
                hint = did_you_mean(name.text, self.declared, "Declare it under scripts.")
                self.report.add("script.unknown", f"There is no script {name.text!r}", name, hint)
        elif decl.transforms:
            message = f"The script {name.text!r} makes facts of requests, it cannot be used here"
            self.report.add("script.takes", message, name, "Let a source name it.")
        return decl

    def seen(self, decl: ScriptDecl, how: Use, types: Types) -> None:
        """That it is asked for something on facts of some types."""
        self.uses.setdefault(decl.name, []).append((how, types))

    def check(self) -> None:
        """The sources, by whoever can read scripts."""
        check = self.scope.pure.check
        if check is None:
            return
        for name, decl in self.declared.items():
            code, uses = self.sources[name], self.uses.get(name, [])
            kinds = None
            if uses and all(types is not None for _, types in uses):
                kinds = frozenset[str]().union(*(types for _, types in uses if types))
            declared = stub(self.scope, decl, kinds, {how for how, _ in uses})
            locate, starts = code.locator(), _lines(code.text)
            told: set[Place] = set()
            for problem in check(annotated(code.text, _MAIN), declared):
                line = min(max(problem.line, 1), len(starts))
                start, end = starts[line - 1], starts[line] if line < len(starts) else len(code.text)
                place = locate(min(start + max(problem.column - 1, 0), max(end - 1, start)))
                if place in told:  # the same, of another type that it may be
                    continue
                told.add(place)
                message = problem.message.strip().rstrip(".")[:300]
                self.report.at(problem.code, f"{name}, line {line}: {message}", place, code.pointer)


_PATH = re.compile(r"[a-z]+(\.[A-Za-z0-9_-]{1,64}){0,2}")


def _lines(text: str) -> list[int]:
    """Where each line begins."""
    return [0, *(i + 1 for i, ch in enumerate(text) if ch == "\n")]
