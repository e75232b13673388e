"""What an operator can set, read once at start-up."""

from overture.settings.load import FILE, Role, Settings, shipped_rulesets
from overture.settings.sentences import PREFIX, sentence

__all__ = ["FILE", "PREFIX", "Role", "Settings", "sentence", "shipped_rulesets"]
