"""The process of one backtest: `python -m overture.backtest`, begun as `aside` says."""

from __future__ import annotations

import sys
from pathlib import Path

from overture.backtest.aside import MEMORY, begin
from overture.backtest.job import Job
from overture.backtest.run import Cancelled, Spec, backtest
from overture.model import OvertureError

ENDED = 0


def main() -> int:
    spec = begin(Spec)
    job = Job(Path(spec.directory))
    try:
        backtest(spec)
    except Cancelled:
        pass
    except MemoryError:
        job.fail("backtest.memory", f"It took more than {MEMORY >> 20} MiB of memory.", "Choose a shorter period.")
    except OvertureError as error:
        job.fail(error.code, error.message, error.hint)
    except Exception as error:
        job.fail("backtest.failed", f"It failed: {type(error).__name__}: {error}", "Please report it.")
    return ENDED


if __name__ == "__main__":
    sys.exit(main())
