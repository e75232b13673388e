"""The values that everything else speaks of: frozen or plain data, typed, no I/O, no imports of ours."""

from overture.model.contact import Contact, Issued, Score
from overture.model.effects import Effect, Firing, Step, Trace
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
from overture.model.journey import Exposure, Position, Sent, Waiting
from overture.model.message import Delivery, Message
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
    "Exposure",
    "Fact",
    "Fenced",
    "Firing",
    "Held",
    "Issued",
    "Message",
    "Overloaded",
    "OvertureError",
    "PluginFailed",
    "Position",
    "Refused",
    "Score",
    "Sent",
    "Series",
    "Session",
    "StartupRefused",
    "Step",
    "StoreUnavailable",
    "Trace",
    "Waiting",
]
