"""What an operator can set, read once at start-up."""

from overture.settings.checks import Tracking
from overture.settings.load import FILE, Role, Settings, shipped_rulesets
from overture.settings.sentences import sentence

__all__ = ["FILE", "Role", "Settings", "Tracking", "sentence", "shipped_rulesets"]
