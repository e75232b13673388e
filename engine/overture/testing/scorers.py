"""The contract of a scorer, as one plain function, and inputs to ask it with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import ValidationError

from overture.model.scoring import View
from overture.plugin import ContactView, FactView, Scored, ScoreInput, ScorerPlugin
from overture.plugin.cutoff import Blocked, bounded

AT = 1_774_605_600_000  # 2026-03-27T10:00:00Z
TIMEOUT = 0.1  # seconds, as in a server


def score_input(
    type: str = "page_viewed",
    properties: Mapping[str, Any] | None = None,
    *,
    context: Mapping[str, Any] | None = None,
    contact: str = "ada",
    traits: Mapping[str, Any] | None = None,
    scores: Mapping[str, Any] | None = None,
    segments: Sequence[str] = (),
    lists: Sequence[str] = (),
    score: str = "",
    key: str = "",
    now: int = AT,
) -> ScoreInput:
    """What a scorer is given in a server: read-only views of a fact that occurred ``now`` (ms) and of its contact."""
    return ScoreInput(
        FactView(type, View(properties or {}), View(context or {}), now),
        ContactView(contact, View(traits or {}), View(scores or {}), frozenset(segments), frozenset(lists)),
        now,
        score,
        key,
    )


def check_scorer(plugin: ScorerPlugin[Any], settings: Mapping[str, Any], inputs: Sequence[ScoreInput]) -> None:
    """Run the whole contract of a scorer; AssertionError with a sentence where it is broken.

    ``settings`` are what stands under ``with`` in a ruleset; ``inputs`` at least two that should not score the same.
    """
    _settings(plugin, settings)
    config = plugin.config.model_validate(settings)
    scorer, other = plugin.open(config), plugin.open(config)
    assert isinstance(plugin.version, str) and plugin.version, "a scorer has a version, a text"  # noqa: PT018 # pyright: ignore[reportUnnecessaryIsInstance]
    empty = score_input(properties={}, traits={})
    told: list[Scored] = []
    for given in (*inputs, empty):
        before = repr(given)
        first = _score(scorer, given, plugin.name)
        assert repr(given) == before, "a scorer does not change its input"
        assert _score(scorer, given, plugin.name) == first, "the same input must give the same score"
        told.append(first)
    assert len({each.value for each in told}) > 1, "inputs that should not score the same did"
    for given, first in reversed(list(zip((*inputs, empty), told, strict=True))):
        assert _score(other, given, plugin.name) == first, (
            "the same input must give the same score by another scorer with the same settings, in another order"
        )


def _settings(plugin: ScorerPlugin[Any], settings: Mapping[str, Any]) -> None:
    plugin.config.model_json_schema()
    unknown = "a-setting-that-there-is-not"
    extra = None if "extra" in plugin.config.model_config else "forbid"
    try:
        plugin.config.model_validate({**settings, unknown: 1}, extra=extra)
    except ValidationError:
        return
    raise AssertionError("a setting that there is not must be refused: extra='forbid' in its config")


def _score(scorer: Any, given: ScoreInput, name: str) -> Scored:
    try:
        scored: object = bounded(f"The scorer {name}", TIMEOUT, scorer.score, given)
    except Blocked as error:
        raise AssertionError(f"score() is called for each fact and must be quick: {error.message}") from None
    except Exception as error:
        raise AssertionError(f"score() must not raise, whatever is missing in its input: {error!r}") from error
    assert isinstance(scored, Scored), f"score() answers Scored, not {scored!r}"
    shares = cast("Mapping[object, object]", scored.contributions)
    for what, number in (("value", cast("object", scored.value)), *shares.items()):
        finite = type(number) in (int, float) and math.isfinite(cast("float", number))
        assert finite, f"{what} of a score is a finite number, not {number!r}"
    return Scored(scored.value, dict(scored.contributions))
