"""Which touches conversions are owed to: recorded facts made paths, and models that share the conversions out.

A question reads: the archive and the log up to the checkpoint. It changes nothing. It runs in a process of its own
(`python -m overture.attribution`).
"""

from overture.attribution.models import MODELS, Tuning, attribute
from overture.attribution.paths import Credit, Credits, Path

__all__ = ["MODELS", "Credit", "Credits", "Path", "Tuning", "attribute"]
