"""What commands need of the sandbox: scripts checked, and run."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace

from overture.cli.terminal import load_settings
from overture.model.pure import Pure
from overture.model.script import Ask


@contextmanager
def checking(pure: Pure) -> Generator[Pure]:
    """The same, with scripts checked; the process that does it begins with the first script."""
    from overture.sandbox.check import Checker
    from overture.sandbox.rendering.atonce import renderer_now

    with Checker() as checker:
        yield replace(pure, check=checker, templates=renderer_now().check)


@contextmanager
def asking() -> Generator[Ask]:
    """Runs scripts, as the server's settings say; the process begins with the first call."""
    from overture.sandbox.lanes import Lanes

    with Lanes(1, load_settings().script_timeout_ms) as lanes:
        yield lanes.run_now
