"""The process of one question: `python -m overture.attribution`, begun as `overture.backtest.aside` says.

Each line that it writes is a `Said`, the last one with the answer.
"""

from __future__ import annotations

import sys

import msgspec

from overture.attribution.answer import Attribution, Refusal, Said
from overture.attribution.run import Spec, answer
from overture.backtest.aside import MEMORY, begin
from overture.model import OvertureError


def main() -> int:
    spec = begin(Spec)
    _say(_worked_out(spec))
    return 0


def _worked_out(spec: Spec) -> Said:
    found: Attribution
    try:
        found = answer(spec, lambda facts: _say(Said(facts)))
    except MemoryError:
        hint = "Choose a shorter period or a coarser `by`."
        return Said(failure=Refusal("attribution.failed", f"It took more than {MEMORY >> 20} MiB of memory.", hint))
    except OvertureError as error:
        return Said(failure=Refusal(error.code, error.message, error.hint))
    except Exception as error:
        said = f"It failed: {type(error).__name__}: {error}"
        return Said(failure=Refusal("attribution.failed", said, "Please report it."))
    return Said(found.facts, found)


def _say(said: Said) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(said) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
