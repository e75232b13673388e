"""The commands and their options.

Exit codes: 0 done; 1 a test failed, `fmt --check` would change something, `diff` found a difference; 2 refused (input,
server, key); 3 refused start.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import cyclopts
from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console

from overture import __version__
from overture.cli import (
    attribution,
    authoring,
    clock,
    consent,
    contact,
    importing,
    keys,
    packaging,
    plugins,
    preview,
    training,
)
from overture.cli.doctor import doctor
from overture.cli.documents import check_files, deployables, report
from overture.cli.explain import show
from overture.cli.plugged import mount
from overture.cli.terminal import Json, Url, connect, console, load_settings, loaded_plugins
from overture.model import OvertureError, StartupRefused, StoreUnavailable

REFUSED_INPUT, REFUSED_START = 2, 3

app = cyclopts.App(
    name="overture", version=__version__, help="Marketing automation: facts in, rules decide, messages out."
)
new = cyclopts.App(name="new", help="Begin something.")
app.command(new)
new.command(authoring.new_ruleset, name="ruleset")
new.command(packaging.new_channel, name="channel")
new.command(packaging.new_source, name="source")
new.command(packaging.new_scorer, name="scorer")
consents = cyclopts.App(name="consent", help="The record of what contacts agreed to.")
app.command(consents)
consents.command(consent.verify)
api_keys = cyclopts.App(name="keys", help="The API keys of a server.")
app.command(api_keys)
api_keys.default(keys.show)
api_keys.command(keys.new)
api_keys.command(keys.revoke)
clocks = cyclopts.App(name="clock", help="The clock of a server for trying things out.")
app.command(clocks)
clocks.default(clock.show)
clocks.command(clock.advance)
people = cyclopts.App(name="contact", help="What is kept about a person.")
app.command(people)
people.command(contact.erase)
people.command(contact.export)
people.command(contact.erasures)
app.command(importing.import_file, name="import")
app.command(attribution.attribution)
app.command(plugins.plugins)
app.command(doctor)
app.command(training.train)
app.command(training.rfm)
app.command(preview.preview)
app.command(authoring.fmt)
app.command(authoring.schema)
app.command(authoring.diff)


def _whole(_: Any, tokens: Sequence[cyclopts.Token]) -> int:
    """Cyclopts by itself rounds 1.5 to 2."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError from None  # without words, so that cyclopts says which option it is


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answers the exit code."""
    try:
        mount(app, sys.argv[1:] if arguments is None else arguments)
        answer: Any = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
    except cyclopts.CycloptsError:
        return REFUSED_INPUT
    except OvertureError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"overture: {error.message}", error.hint, markup=False
        )
        return REFUSED_START if isinstance(error, StartupRefused | StoreUnavailable) else REFUSED_INPUT
    return answer if isinstance(answer, int) else 0


@app.command
def serve(
    *,
    roles: str | None = None,
    host: str | None = None,
    port: Annotated[int | None, Parameter(converter=_whole)] = None,
    data_dir: Path | None = None,
) -> None:
    """Start the server: store, HTTP, worker, delivery. Stop it with Ctrl-C.

    Parameters
    ----------
    roles
        Only these parts in this process: web, worker, delivery, separated by commas.
    """
    from overture.node.run import serve as run

    settings = load_settings(roles=roles, host=host, port=port, data_dir=data_dir)
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    runner, factory = _loop()
    with runner(loop_factory=factory) as loop:
        loop.run(run(settings, os.environ, lambda text: print(text, flush=True)))


def _loop() -> tuple[Any, Any]:
    import asyncio

    try:
        import uvloop
    except ImportError:
        return asyncio.Runner, None
    return asyncio.Runner, uvloop.new_event_loop


@app.command
def check(*files: Path, as_json: Json = False) -> int:
    """Check ruleset documents without a server: every error at once, with its place and a hint."""
    from overture.cli.scripted import checking

    with checking(loaded_plugins().pure()) as pure:
        documents = check_files(files, pure)
    report(documents, console, as_json=as_json)
    return REFUSED_INPUT if any(document.refused for document in documents) else 0


@app.command(name="test")
def run_tests(
    *paths: Path,
    junit: Path | None = None,
    fail_on_empty: Annotated[bool, Parameter(negative="")] = False,
    min_coverage: Annotated[float, Parameter(validator=Number(gte=0, lte=100))] = 0,
    watch: Annotated[bool, Parameter(negative="")] = False,
    as_json: Json = False,
) -> int:
    """Run the tests of rulesets under a clock of their own. Exit code 0: all passed, 1: one failed, 2: invalid.

    Parameters
    ----------
    paths
        Folders, rulesets or test documents.
    junit
        Where to write the results as JUnit XML.
    fail_on_empty
        Exit code 1 also where there is no test.
    min_coverage
        Exit code 1 also where the tests set off fewer percent of the rules and segment edges.
    watch
        Run them again whenever a document changes, until Ctrl-C.
    """
    from overture.cli.testing import run_tests as run

    def once() -> int:
        return run(paths, console, as_json=as_json, report=junit, demand=fail_on_empty, least=min_coverage)

    if not watch:
        return once()
    from overture.cli.watching import again

    again(paths, once, console)
    return 0


@app.command
def deploy(
    *files: Path,
    url: Url = None,
    activate: bool = True,
    wait: Annotated[bool, Parameter(negative="")] = False,
    as_json: Json = False,
) -> int:
    """Put ruleset documents on the server, with the tests beside them, and make them active.

    Parameters
    ----------
    wait
        Until all contacts have been brought up to date with them.
    """
    found = deployables(files, loaded_plugins().pure())
    if not all(each.name for each in found):
        report([document for each in found for document in each.documents], console, as_json=as_json)
        return REFUSED_INPUT
    done: list[dict[str, Any]] = []
    with connect(url) as client:
        for each in found:
            where = each.source.where
            revision = client.put_ruleset(each.name, each.source.whole(), where)
            if activate:
                revision |= client.activate(revision["name"], revision["revision"], where)
            done.append(revision)
            if not as_json:
                state = "active" if activate else "put, not active"
                console.print(f"{each.source.file}: {revision['name']} {revision['revision']} {state}", markup=False)
                for step, n in revision.get("stranded", {}).items():
                    console.print(f"  {n} contacts stood at {step}, which is gone: their journey ends", markup=False)
        if activate and wait:
            from overture.cli.sweeping import until_swept

            version = max((revision["version"] for revision in done), default=0)
            until_swept(client, version, Console(stderr=True, quiet=True) if as_json else console)
    if as_json:
        print(json.dumps(done))
    return 0


@app.command
def backtest(
    *files: Path,
    since: str = "",
    until: str = "",
    baseline: Literal["active", "recorded"] = "active",
    out: Path | None = None,
    url: Url = None,
    as_json: Json = False,
) -> int:
    """Compare what rulesets would have done with recorded facts to what is active. Nothing is deployed, nothing sent.

    Parameters
    ----------
    since
        Where the period begins: an instant, or a duration back from its end, such as 30d. Else with the record.
    until
        Where it ends: an instant, or a duration back from the last recorded fact. Else with that.
    baseline
        What is active now, or as recorded: what was active at each fact.
    out
        Also write the summary and all contacts that differ, one JSON object a line.
    """
    from overture.cli.backtest import backtest as run
    from overture.cli.backtest import contacts, show, write

    found = deployables(files, loaded_plugins().pure())
    if not all(each.name for each in found):
        report([document for each in found for document in each.documents], console, as_json=as_json)
        return REFUSED_INPUT
    with connect(url) as client:
        quiet = Console(stderr=True, quiet=as_json)
        id, summary = run(client, found, quiet if as_json else console, since=since, until=until, baseline=baseline)
        if out is not None:
            write(out, summary, contacts(client, id))
        if as_json:
            print(json.dumps(summary, sort_keys=True))
        else:
            show(summary, contacts(client, id), console)
    return 0


@app.command
def rollback(name: str, *, url: Url = None, as_json: Json = False) -> None:
    """Make the revision of a ruleset active that was active before the present one."""
    with connect(url) as client:
        answer = client.rollback(name)
    if as_json:
        print(json.dumps(answer))
    else:
        console.print(f"{name} {answer['revision']} is active again")


@app.command
def explain(
    contact: str,
    rule: str = "",
    *,
    fact: str = "",
    segment: str = "",
    journey: str = "",
    choice: str = "",
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Why a rule fired for a contact, or why not: the condition with the values it saw, and what would have done.

    Parameters
    ----------
    contact
        The contact's id, or another of its identifiers, such as email:ada@example.com.
    rule
        The rule, as name or ruleset/name.
    fact
        The id of the fact in question; by default the newest of a type that the rule is about.
    segment
        Instead of a rule: a segment.
    journey
        Instead of a rule: a journey, as name or ruleset/name: where the contact stands in it, how it ended, why it did
        not begin.
    choice
        Instead of a rule: a choice, as name or ruleset/name: which variant the contact was shown, and why.
    """
    with connect(url) as client:
        asked = {"rule": rule, "segment": segment, "journey": journey, "choice": choice, "fact": fact}
        explanation = client.explain(contact, **asked)
    if as_json:
        print(json.dumps(explanation))
    else:
        show(explanation, console)


@app.command
def replay(
    *,
    dataset: str = "completejourney",
    url: Url = None,
    deliver: bool = False,
    limit: Annotated[int | None, Parameter(converter=_whole, validator=Number(gte=1, lte=1_000_000_000))] = None,
    as_json: Json = False,
) -> None:
    """Post a recorded data set over HTTP, as an app would, and print what happened.

    Parameters
    ----------
    deliver
        Send the messages that the rules decide; without it the facts are history, and nothing is sent.
    limit
        Only the first so many facts.
    """
    from overture.cli.replay import replay as run

    with connect(url) as client:
        quiet = Console(stderr=True, quiet=as_json)
        outcome = run(
            dataset,
            client.url,
            client.key("write"),
            deliver=deliver,
            limit=limit,
            admin_key=client.key("admin"),
            console=quiet if as_json else console,
        )
    if as_json:
        print(json.dumps(asdict(outcome)))


@app.command
def config(*, as_json: Json = False) -> None:
    """Each setting, its value and where that comes from; secrets are masked."""
    settings = load_settings()
    origins, shown = settings.origins(), settings.shown()
    if as_json:
        print(json.dumps({name: {"value": shown[name], "origin": origins[name]} for name in shown}))
        return
    for name, value in shown.items():
        console.print(f"{name:22} {value:50} {origins[name]}", markup=False)
