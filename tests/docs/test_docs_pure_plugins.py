"""The functions and scorers of ``docs/plugins.md``, and those of the hook specifications, are what is said of them."""

from __future__ import annotations

import inspect as look
import json
from dataclasses import fields
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
from dockit import CODE, blocks, page, part
from ruamel.yaml import YAML

from overture.decide import Plan, step
from overture.model import Contact, Fact
from overture.model.pure import TYPES, Pure
from overture.model.scoring import ContactView, FactView
from overture.plugin import FunctionPlugin, ScoreInput, ScorerPlugin, hookimpl, hookspecs
from overture.plugin.asking import ASKING, HostedFunction, HostedScorer
from overture.rules import inspect, link

PAGE = page("plugins.md")
FUNCTION, SCORER = part(PAGE, "## Writing a function"), part(PAGE, "## Writing a scorer")
FRAME = {"apiVersion": "overture/v1", "kind": "Ruleset", "name": "a", "facts": {"page_viewed": {"path": "string"}}}


def module(text: str) -> Any:
    made = ModuleType("of_the_page")
    made.__dict__.update(BaseModel=__import__("pydantic").BaseModel, hookimpl=hookimpl)
    made.__dict__.update(FunctionPlugin=FunctionPlugin, ScorerPlugin=ScorerPlugin, ScoreInput=ScoreInput)
    made.__dict__["Scored"] = __import__("overture.plugin", fromlist=["Scored"]).Scored
    exec(compile(text.replace("from __future__ import annotations\n", ""), "page", "exec"), made.__dict__)
    return made


def plan(text: str, pure: Pure) -> Plan:
    ruleset, findings = inspect(json.dumps({**FRAME, **YAML(typ="safe").load(text)}), pure=pure)
    assert findings == []
    assert ruleset is not None
    return Plan(link([ruleset], 1))


def test_the_function_of_the_page_decides_who_is_in_its_segments() -> None:
    (source,), (document,) = blocks(FUNCTION, "python"), blocks(FUNCTION, "yaml")
    (plugin,) = module(source).overture_functions()
    deciding = plan(document, Pure({plugin.name: HostedFunction(plugin).function}))
    told = {}
    for email in ("ada@example.com", "ada@gmx.de", "ada@example.org"):
        fact = Fact("f", "identify", "ada", 1, 1, {"email": email})
        told[email] = sorted(step(Contact("ada"), fact, deciding, 1).contact.segments)
    assert told == {"ada@example.com": ["business", "ours"], "ada@gmx.de": [], "ada@example.org": ["business"]}


def test_the_scorer_of_the_page_sets_the_score_of_its_ruleset() -> None:
    (source,), (document,) = blocks(SCORER, "python"), blocks(SCORER, "yaml")
    (plugin,) = module(source).overture_scorers()
    deciding = plan(document, Pure({}, {plugin.name: HostedScorer(plugin).scorer}))
    contact = Contact("ada")
    for n, path in enumerate(("/pricing", "/docs", "/elsewhere")):
        contact = step(contact, Fact(f"f{n}", "page_viewed", "ada", 1, 1, {"path": path}), deciding, 1).contact
    assert contact.scores == {"warmth": 7.5}


@pytest.mark.parametrize("hook", [hookspecs.overture_functions, hookspecs.overture_scorers])
def test_the_example_of_the_hook_yields_what_can_be_hosted(hook: Any) -> None:
    example = dedent((look.getdoc(hook) or "").partition("::\n")[2])
    (offered,) = getattr(module(example), hook.__name__)()
    if isinstance(offered, FunctionPlugin):
        assert HostedFunction(offered).function.call(["Ada Lovelace"]) == "AL"
    else:
        scoring = HostedScorer(offered).scorer.open({"points": 3})
        seen = ScoreInput(FactView("t", {}, {}, 0), ContactView("ada", {"seats": 2}, {}, frozenset(), frozenset()), 0)
        assert scoring.score(seen).value == 6


def test_names_and_numbers_are_the_codes() -> None:
    said = set(CODE.findall(FUNCTION)) | set(CODE.findall(SCORER))
    assert set(TYPES) <= said
    assert {field.name for kind in (ScoreInput, FactView, ContactView) for field in fields(kind)} <= said
    assert f"After {ASKING.timeout * 1000:g} ms" in FUNCTION
    assert f"After {ASKING.failures} failures in a row it is left alone for {ASKING.pause:g}\nseconds" in SCORER
