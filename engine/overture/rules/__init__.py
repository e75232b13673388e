"""From a ruleset document to a checked program; every word to its author about what is wrong comes from here."""

from overture.rules.document import inspect, load, require_name
from overture.rules.linking import link
from overture.rules.program import Program
from overture.rules.report import RulesetInvalid
from overture.rules.ruleset import Ruleset

__all__ = ["Program", "Ruleset", "RulesetInvalid", "inspect", "link", "load", "require_name"]
