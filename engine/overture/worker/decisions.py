"""A decision as an app reads it: what one fact set off, for ``?wait=true``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from overture.model import Effect, Firing, Score, Step, Trace
from overture.model.clock import to_text
from overture.model.decay import all_scores, ranking

KEYS_SHOWN = 50  # of a score that is kept per key


def decision(step: Step, half_lives: Mapping[str, int]) -> dict[str, Any]:
    """What the fact set off, and where the contact stands after it. ``half_lives``: of the scores that decay, in ms."""
    contact = step.contact
    scores = all_scores(contact, half_lives, contact.clock)
    return {
        "contact": contact.id,
        **outcome(step.trace),
        "scores": {name: _shown(name, score, step.scores) for name, score in scores.items()},
        "segments": sorted(contact.segments),
        **({"choices": chosen(step.trace)} if step.trace.fact.choices else {}),
    }


def chosen(trace: Trace) -> dict[str, Any]:
    """What the sender asked with the fact: of each choice the variant to show, or null and the reason."""
    told: dict[str, Any] = {}
    for name in trace.fact.choices:
        found = (e for e in trace.effects if e.kind == "choice" and (e.name == name or e.name.endswith(f"/{name}")))
        told[name] = variant(next(found, None))
    return told


def variant(effect: Effect | None) -> dict[str, Any]:
    """``version``: of what was learned, null where nothing had been; ``kept``: it was shown this before."""
    if effect is None or effect.reason:
        return {"variant": None, "reason": effect.reason if effect is not None else "choice.rolled_back"}
    after = effect.after
    return {
        "variant": effect.key,
        "propensity": after["propensity"],
        "version": effect.before,
        "kept": after["kept"],
    }


def _shown(name: str, score: Score, changed: Collection[str]) -> Score:
    """Of a score with many keys, those that the fact changed: thousands of facts may be answered at once."""
    if type(score) is not dict or len(score) <= KEYS_SHOWN:
        return score
    return {key: n for key, n in score.items() if ranking(name, key) in changed}


def outcome(trace: Trace) -> dict[str, Any]:
    """The firings and effects of one decided fact."""
    shown: dict[str, Any] = {
        "seq": trace.seq,
        "decided_at": to_text(trace.at),
        "program": trace.program,
        "firings": [firing(f) for f in trace.firings],
        "effects": [effect(e) for e in trace.effects],
    }
    if trace.error:
        shown["error"] = trace.error
    return shown


def firing(firing: Firing) -> dict[str, Any]:
    return {
        "rule": firing.rule,
        "revision": firing.revision,
        "fact": firing.fact,
        "effects": [effect(e) for e in firing.effects],
    }


def effect(effect: Effect) -> dict[str, Any]:
    """Only what is there; ``reason`` says why an effect was suppressed."""
    shown: dict[str, Any] = {"kind": effect.kind, "name": effect.name}
    for name in ("key", "before", "after", "reason"):
        value = getattr(effect, name)
        if value not in ("", None):
            shown[name] = value
    return shown
