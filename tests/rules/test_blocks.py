"""Templates put together from blocks, of their own ruleset and of others; what is locked stays as it is."""

from __future__ import annotations

import pytest

from overture.rules import RulesetInvalid, link, load
from overture.sandbox.rendering.atonce import renderer_now

HEAD = "apiVersion: overture/v1\nkind: Ruleset\n"
BRAND = (
    HEAD
    + """name: brand
traits: {city: "string?"}
blocks:
  footer: {locked: true, text: 'Example Ltd{% set x = 1 %}, {% include "place" %}'}
  place: {text: '{{ contact.city | default("London") }}'}
  letter:
    locked: true
    text: '[{% block body %}nothing{% endblock %}|{% block end %}{% include "footer" %}{% endblock %}]'
"""
)
OURS = (
    HEAD
    + """name: ours
requires: {blocks: [brand/footer, brand/letter, brand/place]}
blocks:
  sign: {text: 'The shop'}
  brand/place: {text: 'Vienna'}
templates:
  plain: {text: 'Hello. {% set x = 2 %}{% include "brand/footer" %} {{ x }} {%- include "sign" -%} .'}
  letter: {text: '{% extends "brand/letter" %}{% block body %}Hello from {% include "sign" %}{% endblock %}'}
  apart: {text: 'Hello'}
"""
)


def said(name: str, brand: str = BRAND, ours: str = OURS) -> str:
    program = link([load(brand), load(ours)], 1)
    template = program.template("ours", load(ours).revision, name)
    assert template is not None
    return renderer_now().render(template.page(), {"contact": {}}).text


def test_what_is_included_says_what_its_ruleset_says_unless_it_may_be_said_otherwise():
    assert said("plain") == "Hello. Example Ltd, Vienna 2The shop."
    elsewhere = OURS.replace("  brand/place: {text: 'Vienna'}\n", "")
    assert said("plain", ours=elsewhere).startswith("Hello. Example Ltd, London")


def test_a_layout_is_filled_at_its_slots_alone():
    assert said("letter") == "[Hello from The shop|Example Ltd, Vienna]"


def test_a_template_is_pinned_to_the_revisions_of_what_is_in_it():
    program = link([load(BRAND), load(OURS)], 1)
    revision = load(OURS).revision
    plain, apart = (program.template("ours", revision, name) for name in ("plain", "apart"))
    assert plain is not None and apart is not None  # noqa: PT018
    assert (plain.pins, apart.pins) == ((("brand", load(BRAND).revision),), ())
    later = load(BRAND.replace("London", "Paris"))
    changed = link([later, load(OURS)], 2).template("ours", revision, "plain")
    assert changed is not None
    assert changed.pins == (("brand", later.revision),)


@pytest.mark.parametrize(("deep", "times", "code"), [(8, 12, "template.too_large"), (40, 1, "block.circle")])
def test_blocks_that_grow_by_including_each_other_are_refused(deep: int, times: int, code: str):
    grown = "".join(f"""  b{n + 1}: {{text: '{f'{{% include "b{n}" %}}' * times}'}}\n""" for n in range(deep))
    text = f"{HEAD}name: grown\nblocks:\n  b0: {{text: 'x'}}\n{grown}"
    text += f"templates:\n  t: {{text: '{{% include \"b{deep}\" %}}'}}\n"
    with pytest.raises(RulesetInvalid) as caught:
        link([load(text)], 1)
    assert [d.code for d in caught.value.diagnostics] == [code]


def test_a_locked_block_is_refused_once_and_by_name():
    with pytest.raises(RulesetInvalid) as caught:
        link([load(BRAND), load(OURS.replace("  brand/place:", "  brand/footer:"))], 1)
    (found,) = caught.value.diagnostics
    assert (found.code, found.pointer) == ("block.locked", "ours#/blocks/brand/footer")
