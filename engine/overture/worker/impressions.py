"""What one step showed by choices, and which outcomes it counted: read off the effects that tell of it."""

from __future__ import annotations

from overture.decide.choosing import REACHED, WITHDRAWN
from overture.model import Effect, Step
from overture.state.choices import UNIT, Cell, Counts


def shown(counts: Counts, outcome: Step) -> None:
    for trace in outcome.traces:
        for effect in trace.all_effects:
            if effect.kind == "choice":
                _chosen(counts, effect)
            elif effect.kind == "result":
                _came_to(counts, effect)


def _chosen(counts: Counts, effect: Effect) -> None:
    """A variant that a contact had been shown before is no other impression."""
    if effect.reason == WITHDRAWN:
        counts[Cell(effect.name, effect.before, effect.key, "shown")] -= 1
    elif not effect.reason and not effect.after["kept"]:
        counts[Cell(effect.name, effect.after["edition"], effect.key, "shown")] += 1


def _came_to(counts: Counts, effect: Effect) -> None:
    cell = Cell(effect.name, effect.before["edition"], effect.key, "counted")
    weight = 1 / effect.before["propensity"]
    once, squared = round(UNIT * weight), round(UNIT * weight * weight)
    counts[cell] += 1
    counts[cell._replace(what="w")] += once
    counts[cell._replace(what="w2")] += squared
    if effect.after == REACHED:
        counts[cell._replace(what="reached")] += 1
        counts[cell._replace(what="wr")] += once
        counts[cell._replace(what="w2r")] += squared
