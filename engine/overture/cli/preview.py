"""`overture preview`: what a template says, before it is deployed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from overture.cli.documents import read, show_findings
from overture.cli.scripted import checking
from overture.cli.suites import Folders
from overture.cli.terminal import Json, Url, connect, console, load_settings, loaded_plugins
from overture.model import Refused
from overture.model.pages import RenderRefused
from overture.sandbox.rendering.atonce import RendererNow
from overture.trial.preview import Preview, chosen, context_for, shown, unsent

GOOD, UNSENT, INVALID = 0, 1, 2


def preview(
    file: Path,
    template: str,
    *,
    contact: str = "",
    data: str = "",
    html: Annotated[Path | None, Parameter()] = None,
    url: Url = None,
    as_json: Json = False,
) -> int:
    """Show what a template says; nothing is sent. Exit code 1 where such a message would not be sent.

    Parameters
    ----------
    file
        The document that has the template. Blocks of others come from documents beside it.
    template
        Its name.
    contact
        A contact on the server, by any of its identifiers; then the server renders, with the blocks active there.
    data
        JSON that goes over what is known, or made up: '{"fact": {"total": 12}}'.
    html
        A file that the HTML is written to.
    """
    given = _given(data)
    if contact:
        with connect(url) as client:
            asked = {"template": template, "document": read(file), "contact": contact, "data": given}
            made = msgspec.convert(client.preview(asked), Preview)
    else:
        here = _here(file, template, given)
        if here is None:
            return INVALID
        made = here
    if html is not None and made.html:
        html.write_text(made.html, "utf-8")
    if as_json:
        print(json.dumps(msgspec.to_builtins(made)))
    else:
        _show(made, file, html)
    return GOOD if made.unsent is None else UNSENT


def _here(file: Path, template: str, given: dict[str, Any]) -> Preview | None:
    with checking(loaded_plugins().pure()) as pure:
        ruleset, findings, others = Folders(pure).beside(file)
    if ruleset is None:
        show_findings(file, findings, console)
        return None
    made = chosen(ruleset, template, others)
    renderer = RendererNow(load_settings().locale)
    try:
        return shown(made, renderer.render(made.page(), context_for(made, ruleset, None, given)))
    except RenderRefused as error:
        return unsent(made, error)
    finally:
        renderer.close()


def _given(data: str) -> dict[str, Any]:
    try:
        given: Any = json.loads(data) if data else {}
    except ValueError as error:
        raise Refused("preview.data", f"--data is not JSON: {error}.") from None
    if not isinstance(given, dict):
        raise Refused("preview.data", "--data is no object in JSON.", 'Write {"fact": {"total": 12}}.')
    return given  # pyright: ignore[reportUnknownVariableType]  # JSON


def _show(made: Preview, file: Path, html: Path | None) -> None:
    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    if made.unsent is not None:
        say(f"not sent: {made.unsent.code}: {made.unsent.message}")
        if made.unsent.hint:
            say(f"    {made.unsent.hint}")
        return
    for name in ("subject", "text", "html"):
        said: str = getattr(made, name)
        if said and not (name == "html" and html is not None):
            say(f"--- {name}")
            say(said.rstrip("\n"))
    if made.data:
        say("--- data")
        say(json.dumps(made.data, indent=2, ensure_ascii=False))
    for finding in made.findings:
        say(f"{file}: {finding.severity} {finding.code}: {finding.message}")
