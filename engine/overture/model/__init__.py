"""The values that everything else speaks of: frozen or plain data, typed, no I/O, no imports of ours."""

from overture.model.contact import Contact, Issued, Score
from overture.model.effects import Delivery, Effect, Firing, Message, Step, Trace
from overture.model.errors import (
    ChainTooDeep,
    Diagnostic,
    Fenced,
    Overloaded,
    OvertureError,
    PluginFailed,
    Refused,
    StartupRefused,
    StoreUnavailable,
)
from overture.model.fact import Draft, Fact
from overture.model.series import Candidate, Held, Series
from overture.model.session import Session

__all__ = [
    "Candidate",
    "ChainTooDeep",
    "Contact",
    "Delivery",
    "Diagnostic",
    "Draft",
    "Effect",
    "Fact",
    "Fenced",
    "Firing",
    "Held",
    "Issued",
    "Message",
    "Overloaded",
    "OvertureError",
    "PluginFailed",
    "Refused",
    "Score",
    "Series",
    "Session",
    "StartupRefused",
    "Step",
    "StoreUnavailable",
    "Trace",
]
