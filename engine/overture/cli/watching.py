"""Doing something again whenever a ruleset or a test changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from overture.model import Refused
from overture.trial.files import ENDINGS


def again(paths: Sequence[Path], do: Callable[[], object], console: Console) -> None:
    """Call ``do`` now and after each change of a YAML file under these paths, until Ctrl-C."""
    try:
        from watchfiles import Change, watch
    except ImportError:
        hint = "pip install 'overture[watch]'"
        raise Refused("test.cannot_watch", "Watching needs the package watchfiles.", hint) from None

    def is_yaml(_: Change, name: str) -> bool:
        return name.endswith(ENDINGS)

    do()
    for _ in watch(*{path if path.is_dir() else path.parent for path in paths}, watch_filter=is_yaml, recursive=False):
        console.print()
        try:
            do()
        except Refused as error:  # a file that is just being written, or gone; the next change may mend it
            console.print(error.message, error.hint, markup=False)
