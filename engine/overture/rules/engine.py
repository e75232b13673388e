"""What only the engine and the MJML library can tell of a text: collected, and asked at once of whoever has them.

They are in a jailed process, which is handed in from above with what else a ruleset is read with (`Pure.templates`).
Where there is none, the texts were asked about when they were put.
"""

from __future__ import annotations

from overture.model.pages import Engine, Piece
from overture.rules import lint
from overture.rules.program import Program
from overture.rules.report import Report, RulesetInvalid
from overture.rules.ways import ways
from overture.rules.yamltext import Scalar

_SAYS = {
    "syntax": ("template.syntax", "The template does not parse"),
    "mjml": ("template.mjml", "The template is no MJML"),
}


class Questions:
    """About the texts of one document."""

    def __init__(self) -> None:
        self._asked: list[tuple[Piece, Scalar]] = []

    def syntax(self, scalar: Scalar) -> None:
        self._asked.append((Piece("syntax", scalar.text), scalar))

    def mjml(self, scalar: Scalar) -> None:
        """Whichever way it goes through the conditions; of a text that was found right otherwise."""
        self._asked += ((Piece("mjml", source), scalar) for source in dict.fromkeys(ways(scalar.text, _number)))

    def ask(self, engine: Engine | None, report: Report) -> None:
        if engine is None or not self._asked:
            return
        told: set[tuple[str, str, int]] = set()
        faults = engine([piece for piece, _ in self._asked])
        broken = {
            scalar.pointer
            for (piece, scalar), fault in zip(self._asked, faults, strict=True)
            if fault is not None and piece.kind == "syntax"
        }
        for (piece, scalar), fault in zip(self._asked, faults, strict=True):
            if fault is None or (piece.kind == "mjml" and scalar.pointer in broken):
                continue
            if fault.size:
                for finding in lint.of_size(fault.size):
                    told_size = (finding.code, scalar.pointer, 0)
                    if told_size not in told:
                        told.add(told_size)
                        report.add(finding.code, finding.message, scalar, finding.hint)
                continue
            if (key := (piece.kind, scalar.pointer, fault.offset)) not in told:
                told.add(key)
                code, what = _SAYS[piece.kind]
                report.at(code, f"{what}: {fault.message}", scalar.locator()(fault.offset), scalar.pointer, fault.hint)


def _number(length: int) -> str:
    """What stands in place of a value."""
    return "1".rjust(length, "0")


def check_whole(program: Program, engine: Engine | None) -> None:
    """Ask about the templates that blocks were put into, as a whole. Raises RulesetInvalid."""
    asked = [
        (piece, ruleset, template.name)
        for (ruleset, revision, _), template in program.whole.items()
        if program.rulesets[ruleset].revision == revision
        for source in dict.fromkeys(ways(template.mjml, _number))
        for piece in ([Piece("mjml", source)] if template.mjml else [])
    ]
    if engine is None or not asked:
        return
    faults = engine([piece for piece, _, _ in asked])
    report, told = Report(), set[tuple[str, str]]()
    with report.until_full():
        for (_, ruleset, name), fault in zip(asked, faults, strict=True):
            if fault is not None and not fault.size and (ruleset, name) not in told:
                told.add((ruleset, name))
                place = program.rulesets[ruleset].place(f"templates/{name}")
                message = f"With its blocks the template {name!r} is no MJML: {fault.message}"
                report.at("template.mjml", message, place, f"{ruleset}#/templates/{name}", fault.hint)
    if report.failed:
        raise RulesetInvalid(report.ordered())
