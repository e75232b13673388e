"""The pure step: the only place that decides."""

from overture.decide.consent import consent_verdict
from overture.decide.plan import Plan
from overture.decide.step import step

__all__ = ["Plan", "consent_verdict", "step"]
