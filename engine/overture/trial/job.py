"""What a scratch process is asked and answers, so that nothing an author writes can stop the server that asks.

It loads and compiles a set of rulesets as it would become active, and runs their tests.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from overture.decide import Plan
from overture.model import Diagnostic, Refused
from overture.model.pure import Pure
from overture.model.script import Ask
from overture.plugin.manager import PluginManager
from overture.rules import Ruleset, RulesetInvalid, link, load, require_name
from overture.rules.engine import check_whole
from overture.rules.redeploy import finishing
from overture.rules.report import Report
from overture.rules.series import keeps
from overture.rules.yamltext import Mapping, read
from overture.sandbox.check import Checker
from overture.sandbox.lanes import Lanes
from overture.sandbox.rendering.atonce import renderer_now
from overture.trial.document import Trial
from overture.trial.reading import inspect, inspect_tests
from overture.trial.results import Result
from overture.trial.suite import run

PATIENCE = 4.0  # seconds that a plugin may take to be imported: the server has done it, and a job has not much more


class Prove(msgspec.Struct, frozen=True, tag=True):
    """Load, link and compile ``rulesets`` (name → document), and run the tests in those that ``tested`` names.

    ``channels``: those that may be named, with what of the plugins sends on each; None leaves it unchecked whether
    those that are required are there. ``older``: documents of earlier revisions, oldest first, on which contacts may be
    to finish their journeys. ``allowed``: the distributions whose plugins may be imported; None: all.
    """

    rulesets: dict[str, str]
    tested: list[str]
    channels: dict[str, str] | None = None
    older: list[str] = []
    allowed: list[str] | None = None
    script_timeout_ms: int = 50


class Try(msgspec.Struct, frozen=True, tag=True):
    """Run the tests of ``document`` among ``rulesets``: a ruleset with tests, or tests alone of the ruleset ``name``.

    In the second case they are run with what ``stored`` says, empty where there is nothing.
    """

    rulesets: dict[str, str]
    name: str
    document: str
    stored: str = ""
    channels: dict[str, str] | None = None
    allowed: list[str] | None = None
    script_timeout_ms: int = 50


class Refusal(msgspec.Struct, frozen=True):
    """A `Refused` that travels; with ``diagnostics`` it is a `RulesetInvalid`."""

    code: str
    message: str
    hint: str
    pointer: str
    status: int
    diagnostics: list[Diagnostic] = []

    @classmethod
    def of(cls, error: Refused) -> Refusal:
        diagnostics = error.diagnostics if isinstance(error, RulesetInvalid) else []
        return cls(error.code, error.message, error.hint, error.pointer, error.status, diagnostics)

    def error(self) -> Refused:
        if self.diagnostics:
            return RulesetInvalid(self.diagnostics)
        return Refused(self.code, self.message, self.hint, self.pointer, self.status)


class Proof(msgspec.Struct, frozen=True):
    """``keeps``: the series that the set needs, with how long (ms) it keeps single facts. ``finishing``: (name,
    revision) of the older ones that decide beside it.
    """

    results: list[Result] = []
    keeps: dict[str, int] = {}
    finishing: list[tuple[str, str]] = []
    refusal: Refusal | None = None


def work(job: Prove | Try) -> Proof:
    """Do what is asked; what is refused is part of the answer."""
    plugins = PluginManager(job.allowed, PATIENCE)
    plugins.load()
    try:
        with Checker() as checker, Lanes(1, job.script_timeout_ms) as lanes:
            pure = replace(plugins.pure(), check=checker, templates=renderer_now().check)
            ask = lanes.run_now
            if isinstance(job, Prove):
                return _prove(job, plugins, pure, ask)
            return Proof([_try(job, plugins, pure, ask)])
    except Refused as error:
        return Proof(refusal=Refusal.of(error))


def _prove(job: Prove, plugins: PluginManager, pure: Pure, ask: Ask) -> Proof:
    known_right = replace(pure, check=None, templates=None)  # what is active, or was, has been checked
    library: dict[str, Ruleset] = {}
    trials: dict[str, tuple[Trial, ...]] = {}
    for name, text in job.rulesets.items():
        if name in job.tested:
            library[name], trials[name] = _with_tests(text, pure)
        else:
            library[name] = load(text, known_right)
    read = (inspect(text, known_right)[0] for text in job.older)
    known = [ruleset for ruleset in read if ruleset is not None]  # else: taken no longer
    older = finishing(known, library)
    program = link(list(library.values()), 1, job.channels, older=older)
    check_whole(program, pure.templates)
    Plan(program)
    results = [_run(library[name], trials[name], library, job, plugins, ask) for name in job.tested if trials[name]]
    return Proof(results, keeps(program.series), [(ruleset.name, ruleset.revision) for ruleset in older])


def _try(job: Try, plugins: PluginManager, pure: Pure, ask: Ask) -> Result:
    if _is_ruleset(job.document):
        ruleset, trials = _with_tests(job.document, pure)
        require_name(ruleset, job.name)
    else:
        trials, findings = inspect_tests(job.document)
        if any(finding.severity == "error" for finding in findings):
            raise RulesetInvalid(findings)
        if not job.stored:
            raise Refused("ruleset.unknown", f"There is no such revision of {job.name}.", "Put it first.", status=404)
        ruleset = load(job.stored, pure)
    active = replace(pure, check=None, templates=None)
    library = {name: load(text, active) for name, text in job.rulesets.items() if name != ruleset.name}
    return _run(ruleset, trials, {**library, ruleset.name: ruleset}, job, plugins, ask)


def _run(
    ruleset: Ruleset,
    trials: tuple[Trial, ...],
    library: dict[str, Ruleset],
    job: Prove | Try,
    plugins: PluginManager,
    ask: Ask,
) -> Result:
    names = plugins.channel_names({}) if job.channels is None else job.channels
    result = run(ruleset, trials, library, plugins.addresses(names), job.channels, ask)
    if result.invalid:
        raise RulesetInvalid(result.findings)
    return result


def _with_tests(text: str, pure: Pure) -> tuple[Ruleset, tuple[Trial, ...]]:
    ruleset, trials, findings = inspect(text, pure)
    if ruleset is None:
        raise RulesetInvalid(findings)
    return ruleset, trials


def _is_ruleset(text: str) -> bool:
    """Whether the document says what it is; tests alone do not."""
    root = read(text, Report())
    return isinstance(root, Mapping) and not root.items.keys() <= {"tests"}
