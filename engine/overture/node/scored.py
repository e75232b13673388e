"""What models and scorers said of a contact, in a sentence for whoever does marketing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from overture.decide.examples import PRIOR
from overture.model import Effect
from overture.rules.learning import Model

SHOWN = 5  # contributions that a sentence names; the largest


def scores_told(effects: Iterable[Effect], models: Mapping[str, Model], ruleset: str) -> str:
    """`` likely is 0.31 by buys, version 9f…, because baskets +0.8 and country −0.2.``, for each; empty for none."""
    said = [e for e in effects if e.kind == "scorer" and not e.reason and isinstance(e.after, dict)]
    return "".join(f" {_sentence(e, f'{ruleset}/{e.name}' in models)}" for e in said)


def _sentence(effect: Effect, learned: bool) -> str:
    told: Mapping[str, Any] = effect.after
    if effect.before == PRIOR and learned:
        return f"{effect.key} is {_number(told['value'])}: nothing has been learned for {effect.name} yet."
    shares: Mapping[str, float] = told["contributions"]
    largest = sorted(shares, key=lambda name: (-abs(shares[name]), name))[:SHOWN]
    because = [f"{name} {'+' if shares[name] > 0 else '−'}{_number(abs(shares[name]))}" for name in largest]
    others = len(shares) - len(largest)
    more = f" and {others} more" if others else ""
    why = f", because {', '.join(because)}{more}" if because else ""
    return f"{effect.key} is {_number(told['value'])} by {effect.name}, version {effect.before}{why}."


def _number(n: float) -> str:
    return f"{n:.2f}".rstrip("0").rstrip(".") if abs(n) >= 0.1 else f"{n:.2g}"
