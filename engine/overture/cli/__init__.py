"""The command line: ``overture …``. A person's mistake gets one clear sentence, never a traceback."""

from overture.cli.main import main

__all__ = ["main"]
