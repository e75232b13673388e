"""What of the process's environment is Overture's own."""

from __future__ import annotations

import os

PREFIX = "OVERTURE_"  # of the variables that are settings, keys among them


def without_settings() -> dict[str, str]:
    """This process's environment for another one, whose business neither settings nor keys are."""
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
