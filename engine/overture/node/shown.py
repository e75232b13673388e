"""Why a contact was shown this variant of a choice: the sentences of it."""

from __future__ import annotations

from overture.decide.choosing import Chooser, Choosing
from overture.model import Contact, Refused
from overture.model.chosen import Impression, chosen_text
from overture.model.clock import to_text
from overture.node.underway import local
from overture.rules.program import Program
from overture.rules.report import did_you_mean
from overture.web.explained import Explanation


def of_choice(contact: Contact, name: str, active: Program) -> Explanation:
    """What it was shown last. Raises Refused 404 ``choice.unknown``, 400 ``choice.ambiguous``."""
    choosing = Choosing.of(active)
    found = choosing.named(name) if choosing is not None else "choice.unknown"
    if isinstance(found, str):
        ids = sorted(active.choices)
        if found == "choice.ambiguous":
            alike = ", ".join(id for id in ids if id.endswith(f"/{name}"))
            raise Refused(found, f"Several choices are called {name}: {alike}.", "Write ruleset/choice.")
        raise Refused(found, f"No active ruleset has the choice {name}.", did_you_mean(name, ids), status=404)
    shown = [each for each in contact.choices if each.choice == found.key]
    revision = found.choice.revision
    return Explanation(
        contact=contact.id,
        decided_for=contact.id,
        rule="",
        segment="",
        choice=found.id,
        outcome="shown" if shown else "not_shown",
        sentence=_told(shown[-1], contact) if shown else _open(found, contact),
        state="now",
        revision=revision,
        active_revision=revision,
        since=to_text(shown[-1].at) if shown else None,
    )


def _told(shown: Impression, contact: Contact) -> str:
    chosen = chosen_text(shown.variant, shown.propensity, shown.version)
    if shown.counted:
        came = "it was a success" if shown.reached else "nothing came of it in its time"
    else:
        came = f"it {'was a success and ' if shown.reached else ''}counts at {local(shown.due, contact)}"
    return f"{chosen}, at {local(shown.at, contact)}; {came}."


def _open(chooser: Chooser, contact: Contact) -> str:
    among = chooser.among(contact)
    if not among:
        return "It was shown none, and no variant is meant for it: the `if` of none holds."
    names = chooser.sampler.variants
    parts = zip(among, chooser.sampler.shares(among), strict=True)
    return f"It was shown none. Now it would be {', '.join(f'{names[i]} with {100 * p:.3g} %' for i, p in parts)}."
