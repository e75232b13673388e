"""What a template may read beside the fact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overture.model import Contact
from overture.model.decay import all_scores
from overture.rules.ruleset import ScoreDecl, half_lives_of


def context_of(contact: Contact, declared: Mapping[str, ScoreDecl]) -> dict[str, Any]:
    """The contact as conditions see it, at its clock, and the codes issued to it."""
    unset: dict[str, Any] = {name: {} if decl.per else 0 for name, decl in declared.items()}
    return {
        "contact": {
            **contact.traits,
            "id": contact.id,
            "scores": {**unset, **all_scores(contact, half_lives_of(declared), contact.clock)},
            "segments": sorted(contact.segments),
            "lists": sorted(contact.lists),
        },
        "issued": {i.kind: {**i.properties, "code": i.code} for i in contact.issued},
    }
