"""Forms as they are written → as they are meant; what a visitor is shown of them."""

from __future__ import annotations

import pytest

from overture.rules import RulesetInvalid, link, load
from overture.rules.difference import difference
from overture.rules.form import FormField, shown

DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: webinars
facts:
  webinar_registered: {webinar: string, starts_at: datetime, seats: "int?"}
traits:
  {email: "string?", name: "string?", age: "number?", occupation: "string?", company_name: "string?", phone: "string?"}
forms:
  webinar:
    ask: 3
    fact: webinar_registered
    fields:
      - {trait: email, label: E-mail, required: true, prefill: true}
      - {trait: name, prefill: true}
      - {trait: age, type: int}
      - {trait: occupation, options: [engineer, other]}
      - {trait: company_name}
      - {trait: phone}
"""


def seen(known: set[str], values: dict[str, str] | None = None) -> list[str]:
    form = load(DOCUMENT).forms["webinar"]
    return [each.trait if value is None else f"{each.trait}={value}" for each, value in shown(form, known, values)]


def test_as_it_is_meant() -> None:
    form = load(DOCUMENT).forms["webinar"]
    assert (form.ask, form.fact, sorted(form.about)) == (3, "webinar_registered", ["seats", "starts_at", "webinar"])
    assert form.fields[0] == FormField("email", "string", "E-mail", required=True, prefill=True)
    assert [each.kind for each in form.fields[1:4]] == ["string", "int", "string"]
    assert form.fields[3].options == ("engineer", "other")
    assert form.fields[4].label == "Company name"


def test_without_ask_all_are_asked() -> None:
    assert load(DOCUMENT.replace("    ask: 3\n", "")).forms["webinar"].ask == 6


def test_a_stranger_is_asked_who_it_is_and_three_more() -> None:
    assert seen(set()) == ["email", "name", "age", "occupation"]


def test_what_a_visitor_has_said_is_not_asked_again() -> None:
    assert seen({"email", "name"}) == ["email", "age", "occupation", "company_name"]
    assert seen({"email", "name", "age", "occupation", "company_name"}) == ["email", "phone"]


def test_an_identified_visitor_sees_what_is_known_and_is_asked_the_rest() -> None:
    both = {"email": "ada@example.com", "name": "Ada"}
    assert seen(set(both), both) == ["email=ada@example.com", "name=Ada", "age", "occupation", "company_name"]
    assert seen({"name", "age"}, {"name": "Ada", "age": "36"}) == [
        "email", "name=Ada", "occupation", "company_name", "phone",
    ]  # fmt: skip


def test_two_rulesets_with_different_forms_of_one_name() -> None:
    other = DOCUMENT.replace("webinars", "others").replace("ask: 3", "ask: 2")
    with pytest.raises(RulesetInvalid) as caught:
        link([load(DOCUMENT), load(other)], 1)
    assert [(d.code, d.line, d.pointer) for d in caught.value.diagnostics] == [
        ("link.duplicate", 9, "webinars#/forms/webinar")
    ]
    assert link([load(DOCUMENT), load(DOCUMENT.replace("webinars", "others"))], 1).forms.keys() == {"webinar"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ask: 3", "ask: 2"),
        (", type: int", ""),
        ("E-mail", "Mail"),
        ("other]", "others]"),
        ("{trait: name, prefill: true}", "{trait: name}"),
    ],
)
def test_a_difference_is_told(old: str, new: str) -> None:
    before, after = load(DOCUMENT), load(DOCUMENT.replace(old, new, 1))
    (change,) = difference(before, after)
    assert (change.kind, change.section, change.name) == ("changed", "forms", "webinar")
    assert change.facet == ("ask" if "ask" in old else "fields")
