"""Templates and the blocks that they are put together from, as documents have them."""

from __future__ import annotations

from overture.model.pages import Page
from overture.rules import lint
from overture.rules.blocks import PARTS, qualified
from overture.rules.engine import Questions
from overture.rules.keys import BLOCK, DATA, TEMPLATE
from overture.rules.reading import BLOCK_NAME, NAME, Reading
from overture.rules.ruleset import BlockDecl, TemplateDecl
from overture.rules.scope import Scope
from overture.rules.script import ScriptDecl
from overture.rules.scripts import Scripts
from overture.rules.template import Checked, Use, check_template
from overture.rules.templatedata import check_data
from overture.rules.tree import Place
from overture.rules.yamltext import Mapping, Scalar, YamlNode


class Templates(Reading):
    """Reads both sections. ``uses``: what each template needs of whoever sends it."""

    def __init__(self, reading: Reading, scope: Scope, requires: frozenset[str]) -> None:
        """``requires``: the blocks of other rulesets that the document says it needs."""
        super().__init__(reading.report)
        self.scope = scope
        self.requires = requires
        self.blocks: dict[str, BlockDecl] = {}
        self.templates: dict[str, TemplateDecl] = {}
        self.places: dict[str, Place] = {}  # of the templates
        self.uses: dict[str, list[Use]] = {}
        self.questions = Questions()

    def read(self, blocks: YamlNode | None, templates: YamlNode | None, scripts: Scripts) -> None:
        """After the traits, which they may name, and the scripts that make data."""
        self._blocks(blocks)
        for name, value, key in self.entries(templates, "templates"):
            mapping = self.body(value, f"The template {name!r}")
            if mapping is None:
                continue
            self.keys(mapping, TEMPLATE)
            if all(_blank(mapping.items.get(part)) for part in PARTS):
                self.report.add("template.empty", f"The template {name!r} has no text, no html and no mjml", key)
            if not mapping.items.keys() & {"text"} and mapping.items.keys() & {"html", "mjml"}:
                message = f"The template {name!r} has no text: in a mail it is made from the HTML"
                self.report.add("template.no_text", message, key, "Write text too, if it is to read well.")
            if "html" in mapping.items and "mjml" in mapping.items:
                self.report.add("template.mjml", f"The template {name!r} has html and mjml", key)
            self.places[name] = key.place
            self.templates[name] = self._template(name, mapping, scripts)
        self.questions.ask(self.scope.pure.templates, self.report)

    def _template(self, name: str, mapping: Mapping, scripts: Scripts) -> TemplateDecl:
        texts: dict[str, str] = {}
        builder: ScriptDecl | None = None
        named: set[str] = set()
        for part in Page.__struct_fields__[1:]:
            if part == "data" and isinstance(mapping.items.get(part), Mapping):
                builder = self._builder(mapping.items[part], scripts)
                continue
            scalar = self.text(mapping.items.get(part), part)
            if scalar is None:
                continue
            checked = check_template(scalar, self.scope, self.report, "template")
            texts[part] = scalar.text
            named |= checked.blocks.keys()
            self.uses.setdefault(name, []).extend(checked.uses)
            self._ask(scalar, part, checked)
        subject, text, html, mjml, data = (texts.get(part, "") for part in Page.__struct_fields__[1:])
        return TemplateDecl(name, subject, text, html, mjml, data, builder, tuple(sorted(named)))

    def _ask(self, scalar: Scalar, part: str, checked: Checked) -> None:
        self._known(checked, scalar)
        if not checked.right:
            return
        self._lint(scalar, part)
        self.questions.syntax(scalar)
        if checked.blocks:
            return  # what comes out is known when its blocks are put in
        if part == "mjml":
            self.questions.mjml(scalar)
        elif part == "data":
            check_data(scalar, self.report)

    def _lint(self, scalar: Scalar, part: str) -> None:
        if part == "subject":
            findings = lint.of_subject(scalar.text)
        elif part in ("html", "mjml"):
            findings = lint.of_markup(scalar.text, mjml=part == "mjml")
        else:
            return
        locate = scalar.locator()
        for finding in findings:
            self.report.at(finding.code, finding.message, locate(finding.offset), scalar.pointer, finding.hint)

    def _builder(self, data: YamlNode, scripts: Scripts) -> ScriptDecl | None:
        assert isinstance(data, Mapping)
        name = self.text(data.items["script"], "script") if self.keys(data, DATA) else None
        return scripts.find(name) if name else None

    def _blocks(self, node: YamlNode | None) -> None:
        mapping = self.mapping(node, "blocks")
        found: list[tuple[Checked, Scalar]] = []
        for written, value in mapping.items.items() if mapping else ():
            assert mapping is not None
            key, others = mapping.keys[written], BLOCK_NAME.fullmatch(written)
            if others is None and not self.name(written, key, NAME):
                continue
            body = self.body(value, f"The block {written!r}")
            if body is None:
                continue
            self.keys(body, BLOCK)
            if others is not None and written.partition("/")[0] != self.scope.owner and written not in self.requires:
                hint = f"Write requires: {{blocks: [{written}]}}."
                self.report.add("block.unknown", f"The block {written!r} is not required", key, hint)
            parts: dict[str, str] = {}
            for part in PARTS:
                scalar = self.text(body.items.get(part), part)
                if scalar is not None:
                    checked = check_template(scalar, self.scope, self.report, "block")
                    found.append((checked, scalar))
                    parts[part] = scalar.text
                    if checked.right:
                        self._lint(scalar, part)
                        self.questions.syntax(scalar)
            if not parts:
                self.report.add("template.empty", f"The block {written!r} has no text, no html and no mjml", key)
            name = qualified(written, self.scope.owner)
            locked = self.switch(body.items.get("locked"), "locked")
            self.blocks[name] = BlockDecl(name, parts, locked, key.place)
        for checked, scalar in found:
            self._known(checked, scalar)

    def _known(self, checked: Checked, scalar: Scalar) -> None:
        """Whether the blocks that a text names are declared, here or as required."""
        for name, place in checked.blocks.items():
            if name not in self.requires and qualified(name, self.scope.owner) not in self.blocks:
                hint = "Declare it under blocks, or with its ruleset's name under requires.blocks."
                checked.right = False
                self.report.at("block.unknown", f"There is no block {name[:80]!r}", place, scalar.pointer, hint)


def _blank(node: YamlNode | None) -> bool:
    return node is None or (isinstance(node, Scalar) and isinstance(node.value, str) and not node.value.strip())
