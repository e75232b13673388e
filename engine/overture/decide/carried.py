"""What a message carries of a contact that holds a lot: what its template names, and nothing else.

A message stays in the outbox for good. It must not be a copy of all that somebody made a contact hold.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from overture.model import Score
from overture.rules.ruleset import TemplateDecl
from overture.rules.template import tags_of

_WORD = re.compile(r"\w+")
_OWN = frozenset({"id", "scores", "segments", "lists", "locale", "timezone"})


def named(context: dict[str, Any], template: TemplateDecl) -> dict[str, Any]:
    """The part of ``contact`` and ``issued`` that the template's tags name; whole scores, segments and lists."""
    tags, words = _tags(template)
    contact = {name: value for name, value in context["contact"].items() if name in words or name in _OWN}
    scores: dict[str, Score] = context["contact"]["scores"]
    contact["scores"] = {
        name: {key: n for key, n in score.items() if key in tags} if isinstance(score, dict) else score
        for name, score in scores.items()
    }
    return {"contact": contact, "issued": {kind: code for kind, code in context["issued"].items() if kind in tags}}


def names(template: TemplateDecl, word: str) -> bool:
    """Whether a tag of the template has this word in it."""
    return word in _tags(template)[1]


@lru_cache(256)
def _tags(template: TemplateDecl) -> tuple[str, frozenset[str]]:
    sources = (template.subject, template.text, template.html, template.mjml, template.data)
    tags = "\n".join(body for source in sources for opening, _, body in tags_of(source) if opening != "{#")
    return tags, frozenset(_WORD.findall(tags))
