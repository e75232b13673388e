"""The ruleset that `overture new ruleset` begins with."""

from __future__ import annotations

import re

_RULESET = """\
# {name}: say here in a sentence what it is for.
#
# overture check {name}.yaml      what is wrong with it
# overture test {name}.yaml       whether it does what its tests say
# overture deploy {name}.yaml     makes it active on a server
apiVersion: overture/v1
kind: Ruleset
name: {name}
description: Who looks at the prices is interested.

# What the apps send us. A `?` after the type marks a field that may be missing.
facts:
  page_viewed: {{path: string, referrer: "string?"}}

scores:
  {slug}_points: {{min: 0, max: 100}}

rules:
  # `when` says on which facts the rule fires, `then` what it does.
  pricing:
    when: fact.type == "page_viewed" and fact.path.startswith("/pricing")
    once_per: 30m  # a reload is no more interest
    then:
      - score: {{name: {slug}_points, add: 10}}

segments:
  # Membership follows the condition, in the same commit as the fact that changed the score.
  {slug}_interested:
    when: contact.scores.{slug}_points >= 20
"""

_TESTS = """\
# What {name} promises. The clock of a test goes on by `advance` only.
tests:
  - name: who comes back to the prices is interested
    steps:
      - fact: {{type: page_viewed, path: /pricing}}
      - expect: {{scores: {{{slug}_points: 10}}, segments: {{{slug}_interested: false}}}}
      - advance: 1d
      - fact: {{type: page_viewed, path: /pricing/teams}}
      - expect: {{scores: {{{slug}_points: 20}}, segments: {{{slug}_interested: true}}}}

  - name: a reload and other pages bring nothing
    steps:
      - fact: {{type: page_viewed, path: /pricing}}
      - fact: {{type: page_viewed, path: /pricing}}
      - fact: {{type: page_viewed, path: /blog}}
      - expect: {{scores: {{{slug}_points: 10}}, suppressed: {{pricing: once_per.window}}}}
"""


def starter(name: str) -> dict[str, str]:
    """What the files say, by what stands behind the name in theirs."""
    slug = re.sub(r"\W", "_", name[:24], flags=re.ASCII)
    slug = slug if slug[0].isalpha() else f"r{slug}"
    return {".yaml": _RULESET.format(name=name, slug=slug), ".test.yaml": _TESTS.format(name=name, slug=slug)}
