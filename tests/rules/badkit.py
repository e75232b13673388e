"""The corpus of bad rulesets: ``bad/<code>/<name>.yaml`` says in its first line what is wrong with it, and where.

``# expect: code@line:column``, more of them separated by blanks, in order. A document is checked with the tests in it,
and linked: with ``<name>.with.yaml``, where that is there, as another active ruleset. Findings about how several fit
together have the place 0:0 where they are about none. ``<name>.mended.yaml`` is the same document without the mistake.
"""

from __future__ import annotations

import atexit
from pathlib import Path

from overture.model import Contact, Diagnostic
from overture.model.pure import Function, Pure
from overture.plugin.asking import HostedScorer
from overture.rules import RulesetInvalid, link, load
from overture.sandbox.check import Checker
from overture.sandbox.rendering.atonce import renderer_now
from overture.trial.reading import inspect
from overture.trial.suite import run
from overture_scoring.fit import overture_scorers

BAD = Path(__file__).parent / "bad"
FILES = sorted(path for path in BAD.glob("*/*.yaml") if "." not in path.stem)
MARK = "# expect: "
CHECKER = Checker()
atexit.register(CHECKER.close)
PURE = Pure(
    {"engaged": Function("engaged", ("number", "datetime?"), "bool", lambda _: True)},
    {offered.name: HostedScorer(offered).scorer for offered in overture_scorers()},
    check=CHECKER,
    templates=renderer_now().check,
)
"""What plugins add here: a function, ``engaged(number, datetime?)``, and the scorer ``fit``."""


def expected(path: Path) -> list[str]:
    first = path.read_bytes().decode().partition("\n")[0]
    assert first.startswith(MARK), f"{path} does not say what is wrong with it"
    return first.removeprefix(MARK).split()


def document(path: Path) -> str:
    """The document without the line that says what to expect."""
    return path.read_bytes().decode().partition("\n")[2]


def beside(path: Path, what: str) -> Path:
    """``example.yaml`` → ``example.mended.yaml``."""
    return path.with_name(f"{path.name.partition('.')[0]}.{what}.yaml")


def found(path: Path) -> list[Diagnostic]:
    """Everything that is said about the document, about it among others, and about the tests in it."""
    ruleset, trials, findings = inspect(path.read_bytes().decode(), PURE)
    if ruleset is None:
        return findings
    other = beside(path, "with")
    active = [ruleset, *([load(other.read_text())] if other.exists() else [])]
    try:
        link(active, 1)
    except RulesetInvalid as error:
        return [*findings, *error.diagnostics]
    result = run(ruleset, trials, {each.name: each for each in active}, {"email": _email})
    assert result.passed or result.findings, "Tests that fail are no matter of this corpus"
    return [*findings, *result.findings]


def told(findings: list[Diagnostic]) -> list[str]:
    return [f"{d.code}@{d.line}:{d.column}" for d in findings]


def _email(contact: Contact) -> str | None:
    return contact.traits.get("email")
