"""The counts of choices put together for a person who looks at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from overture.decide.choosing import Chooser, Choosing, Sampler, learned_as
from overture.model import Contact
from overture.model.artefact import Artefact, Posterior
from overture.model.intervals import wilson
from overture.model.offpolicy import Estimate, Weighed
from overture.rules.durations import duration_text
from overture.rules.ruleset import Choice
from overture.state.choices import UNIT, Cell, ChoiceCounts, Counts
from overture.web.chosen import ArmState, ChoiceState, Range
from overture.worker.plans import Plans


class ChoiceService:
    """Implements `overture.web.chosen.Choices`."""

    def __init__(self, counts: ChoiceCounts, plans: Plans) -> None:
        self._counts = counts
        self._plans = plans

    async def list(self) -> list[ChoiceState]:
        program = await self._plans.active()
        learned = program.learned
        return [
            _state(choice, learned.get(learned_as(id)), await self._counts.of(id))
            for id, choice in sorted(program.choices.items())
        ]

    async def kept(self, contact: Contact | None, names: Sequence[str]) -> dict[str, Any]:
        choosing = Choosing.of(await self._plans.active())
        return {name: _kept(contact, choosing.named(name) if choosing is not None else "") for name in names}


def _kept(contact: Contact | None, chooser: Chooser | str) -> dict[str, Any]:
    key = "" if isinstance(chooser, str) else chooser.key
    found = [each for each in contact.choices if each.choice == key] if contact is not None else []
    if not found:
        return {"variant": None, "reason": chooser if isinstance(chooser, str) and chooser else "choice.not_shown"}
    last = found[-1]
    return {"variant": last.variant, "propensity": last.propensity, "version": last.version or None, "kept": True}


def _state(choice: Choice, artefact: Artefact | None, counts: Counts) -> ChoiceState:
    sampler = Sampler(choice, artefact)
    shares = sampler.shares(tuple(range(len(sampler.variants))))

    def of(variant: str, what: str) -> int:
        return counts[Cell(choice.id, choice.edition, variant, what)]

    total = sum(of(name, "counted") for name in sampler.variants)
    reached = sum(of(name, "reached") for name in sampler.variants)
    weighed = {
        name: Weighed(total, *(of(name, what) / UNIT for what in ("w", "wr", "w2", "w2r"))) for name in sampler.variants
    }
    values = {name: found for name, sums in weighed.items() if (found := sums.snips()) is not None}
    best = max(values, key=lambda name: values[name].value, default=None)
    regret = weighed[best].over(reached) if best is not None else None
    known = isinstance(artefact, Posterior) and sampler.version
    return ChoiceState(
        choice=choice.id,
        revision=choice.revision,
        within=duration_text(choice.within_ms),
        explore=choice.explore,
        version=sampler.version or None,
        examples=artefact.examples if known and isinstance(artefact, Posterior) else 0,
        best=best,
        regret=None if regret is None else _range(regret),
        lost=None if regret is None else regret.value * total,
        arms=[
            ArmState(
                name,
                of(name, "shown"),
                n := of(name, "counted"),
                x := of(name, "reached"),
                Range(x / n, *wilson(x, n)) if n else None,
                share,
                _range(values[name]) if name in values else None,
            )
            for name, share in zip(sampler.variants, shares, strict=True)
        ],
    )


def _range(estimate: Estimate) -> Range:
    return Range(estimate.value, estimate.low, estimate.high)
