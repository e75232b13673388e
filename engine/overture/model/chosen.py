"""What contacts were shown by choices, and when they are there: what the step remembers to show the better thing, at
the better hour.
"""

from __future__ import annotations

import msgspec


class Impression(msgspec.Struct, frozen=True, array_like=True):
    """That a contact was shown a ``variant`` of a choice. Times are ms since the epoch, UTC.

    ``choice`` is ``ruleset/name#edition``. ``propensity`` is the probability with which this variant was drawn, by what
    was learned until ``version`` (the digest of an artefact, empty: nothing had been). It counts at ``due`` with
    ``reached``: whether it was a success until then. Once it has, it is ``counted``. ``messages``: those that carried
    it, none where an app asked.
    """

    choice: str
    variant: str
    at: int
    due: int
    propensity: float
    version: str = ""
    messages: list[str] = []
    reached: bool = False
    counted: bool = False


class Presence(msgspec.Struct, frozen=True, array_like=True):
    """When a contact is there: in how many hours of the past it opened, clicked or visited, by hour of its week on the
    wall (0: Monday from 00:00). They count as of ``at`` (ms) and fade; ``hour`` is the last that counts, since 1970.
    """

    at: int = 0
    hour: int = 0
    weights: dict[str, float] = {}


def chosen_text(variant: str, propensity: float, version: str) -> str:
    """How a variant came to be shown, as a sentence without its full stop."""
    known = f"by what was learned until version {version}" if version else "as nothing had been learned"
    return f"Variant {variant} was chosen: {100 * propensity:.3g} % {known}"
