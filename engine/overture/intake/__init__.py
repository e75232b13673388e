"""From bytes to drafts: sniff, inflate, split, read, check. Pure: no I/O, and the time is an argument."""

from overture.intake.caps import Caps
from overture.intake.codes import CODES, refused
from overture.intake.parse import Parsed, Rejection, parse

__all__ = ["CODES", "Caps", "Parsed", "Rejection", "parse", "refused"]
