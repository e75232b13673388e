"""What a message's template needs of the rule that sends it: fields of the fact, codes that were issued."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from overture.rules.report import Report, did_you_mean
from overture.rules.ruleset import Action, IssueAction, Rule, Segment, SendAction
from overture.rules.scope import Scope
from overture.rules.template import Use, may_be_missing


def check_sends(
    rules: Iterable[Rule],
    segments: Iterable[Segment],
    uses: Mapping[str, Sequence[Use]],
    scope: Scope,
    report: Report,
) -> None:
    """Report, for each template, what is missing, or may be, where it is sent. ``uses`` are by template."""
    seen: set[tuple[str, Use]] = set()
    done: set[tuple[str, frozenset[str], frozenset[str]]] = set()  # many rules may send one template

    def once(code: str, use: Use) -> bool:
        return (code, use) not in seen and not seen.add((code, use))

    for then, types in _senders(rules, segments):
        issued: frozenset[str] = frozenset()
        for action in then:
            if isinstance(action, IssueAction):
                issued |= {action.kind}
            if not isinstance(action, SendAction) or (action.template, types, issued) in done:
                continue
            done.add((action.template, types, issued))
            for use in uses.get(action.template, ()):
                if use.root == "issued":
                    if use.name not in issued and once("missing", use):
                        may_be_missing(report, f"issued.{use.name}", use.place, use.pointer)
                    continue
                kinds = {t: scope.field_of(t, use.name) for t in sorted(types)}
                unknown = next((t for t, kind in kinds.items() if kind is None), None)
                if unknown is not None:
                    if once("unknown", use):
                        hint = did_you_mean(use.name, scope.names_of(unknown))
                        message = f"A {unknown!r}, on which this is sent, has no field {use.name[:40]!r}"
                        report.at("template.unknown_variable", message, use.place, use.pointer, hint)
                elif (not kinds or any(kind and kind.optional for kind in kinds.values())) and once("missing", use):
                    may_be_missing(report, f"fact.{use.name}", use.place, use.pointer)


def _senders(rules: Iterable[Rule], segments: Iterable[Segment]) -> Iterable[tuple[tuple[Action, ...], frozenset[str]]]:
    """Actions, and the types of the facts that they run on; none: it is not known."""
    for rule in rules:
        yield rule.then, rule.types
    for segment in segments:
        yield segment.on_enter, frozenset()
        yield segment.on_leave, frozenset()
