"""For how long something is left alone."""

from __future__ import annotations

import subprocess
import sys

from overture.plugin.breaker import BLOCKED, LONGEST, Breaker, left_alone


def test_what_blocks_is_left_alone_four_times_as_long_each_time_and_no_longer_than_sixteen_minutes() -> None:
    assert [left_alone(n) for n in (1, 2, 3, 4, 5)] == [BLOCKED, 240.0, LONGEST, LONGEST, LONGEST]
    assert left_alone(10**6) == LONGEST, "years later, too"


def test_it_says_for_how_long_it_has_been_so() -> None:
    breaker = Breaker(1, 60.0)
    assert (breaker.lasted, breaker.left()) == (0.0, None)
    breaker.failed("no")
    since = breaker.lasted
    breaker.failed("again")
    assert 0 <= since < breaker.lasted < 5
    assert breaker.admit() is not None


BLOCKS_TWICE = """
from overture.model import PluginFailed, clock
from overture.plugin.guard import Limits
from overture.plugin.prompt import Asked

def forever():
    while True:
        pass

asked = Asked("The function slow", Limits(timeout=0.1))
for _ in range(2):
    try:
        asked.ask(forever, (), read=lambda answer: answer)
    except PluginFailed as error:
        print(error.message, round(asked.breaker.left()))
    clock.put_ahead(clock.ahead() + 61_000)
"""


def test_a_try_that_blocks_has_little_time() -> None:
    """In a process of its own, whose clock is put ahead."""
    done = subprocess.run([sys.executable, "-c", BLOCKS_TWICE], capture_output=True, text=True, timeout=60, check=True)
    first, second = done.stdout.splitlines()
    assert "for 100 ms" in first
    assert first.endswith(" 60")
    assert "for 50 ms" in second
    assert second.endswith(" 240")
