"""Calls of scripts through the lanes: answers, errors with their line, purity, batches, quarantine, the end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from overture.model.errors import Overloaded
from overture.model.script import Call, Said, Script
from overture.sandbox.lanes import Lanes

NOW = 1_735_689_600_000  # 2025-01-01


def script(source: str, name: str = "fit", timeout_ms: int = 0) -> Script:
    return Script("growth", name, f"{name} {hash(source)}", source, timeout_ms)


def call(of: Script, n: object = 0, now: int = NOW, seed: str = "f_1") -> Call:
    return Call(of, json.dumps({"n": n}), now, seed)


@pytest.fixture(scope="module")
def lanes() -> Iterator[Lanes]:
    with Lanes(2, strikes=3, pause=3600) as running:
        yield running


def values(said: list[Said]) -> list[object]:
    assert [each for each in said if each.code] == []
    return [each.value for each in said]


async def test_answers_come_in_the_order_of_the_calls_over_scripts(lanes: Lanes) -> None:
    double, text = script("def main(n):\n    return n * 2"), script("def main(n):\n    return {'n': str(n)}", "text")
    calls = [call((double, text)[n % 2], n) for n in range(500)]
    said = values(await lanes.run(calls))
    assert said == [{"n": str(n)} if n % 2 else n * 2 for n in range(500)]
    assert values(lanes.run_now(calls[:3])) == said[:3]
    assert await lanes.run([]) == []


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("def main(n):\n\n    return n['a']", "growth/fit, line 3: TypeError: 'int' object is not subscriptable"),
        ('def main(n):\n    """More\n    lines."""\n    return 1 / n', "growth/fit, line 4: ZeroDivisionError: "),
        ("def main(n):\n    return (", "growth/fit, line 2: SyntaxError: unexpected EOF while parsing"),
        ("X = 1 / 0\n\n\ndef main(n):\n    return X", "growth/fit, line 1: ZeroDivisionError: division by zero"),
        ("def main(n):\n    raise ValueError('x' * 10 ** 5)", "growth/fit, line 2: ValueError: xxx"),
    ],
)
def test_an_error_names_the_script_and_its_line_briefly(lanes: Lanes, source: str, sentence: str) -> None:
    said = lanes.run_now([call(script(source)), call(script(source), seed="f_2")])
    for each in said:
        assert each.code == "script.failed"
        assert each.message.startswith(sentence)
        assert len(each.message) < 300


PURE = {
    "a list outside": "SEEN = []\n\n\ndef main(n):\n    SEEN.append(n)\n    return SEEN",
    "a global": "SEEN = 0\n\n\ndef main(n):\n    global SEEN\n    SEEN += 1\n    return SEEN",
    "a default": "def main(n, seen=[]):\n    seen.append(n)\n    return seen",
    "text over lines": 'SEEN = []\nTEXT = """a\n  b"""\n\n\ndef main(n):\n    SEEN.append(TEXT)\n    return SEEN',
    "randomness": "import random\n\n\ndef main(n):\n    return [random.random(), random.randint(0, 9)]",
    "randomness without a seed": "import random\n\n\ndef main(n):\n    return random.Random().random()",
    "the clock": "from datetime import datetime\n\n\ndef main(n):\n    return datetime.now().isoformat()",
    "decimals": "from decimal import getcontext as c\n\n\ndef main(n):\n    c().prec += 1\n    return c().prec",
    "decimals of all": "from decimal import DefaultContext as C\n\n\ndef main(n):\n    C.prec += 1\n    return C.prec",
    "by exec": "def main(n):\n    exec('import random')\n    return random.random()",
}


@pytest.mark.parametrize("name", PURE)
def test_a_call_is_answered_the_same_whatever_came_before(lanes: Lanes, name: str) -> None:
    of = script(PURE[name])
    calls = [call(of, n % 3, NOW + n % 5, f"f_{n % 4}") for n in range(60)]
    together = lanes.run_now(calls)
    with Lanes(1) as fresh:
        alone = [fresh.run_now([each])[0] for each in calls[:12]]
    assert alone == together[:12]
    answers: dict[Call, set[str]] = {}
    for each, said in zip(calls, together, strict=True):
        answers.setdefault(each, set()).add(repr(said))
    assert {len(said) for said in answers.values()} == {1}


def test_the_clock_shows_the_instant_of_the_call_and_the_numbers_follow_its_seed(lanes: Lanes) -> None:
    clock = script(
        "import time\nfrom datetime import date, datetime, timedelta, timezone\n\n\ndef main(n):\n"
        "    there = datetime.now(timezone(timedelta(hours=2)))\n"
        "    return [time.time(), str(date.today()), str(datetime.now()), str(there)]"
    )
    assert values(lanes.run_now([call(clock), call(clock, now=NOW + 1500)])) == [
        [NOW / 1000, "2025-01-01", "2025-01-01 00:00:00", "2025-01-01 02:00:00+02:00"],
        [NOW / 1000 + 1.5, "2025-01-01", "2025-01-01 00:00:01.500000", "2025-01-01 02:00:01.500000+02:00"],
    ]
    dice = script("import random\n\n\ndef main(n):\n    return random.random()")
    first, second = values(lanes.run_now([call(dice), call(dice, seed="f_2")]))
    assert first != second


async def test_one_that_does_not_end_takes_nobody_along(lanes: Lanes) -> None:
    of = script("def main(n):\n    while n == 77:\n        pass\n    return n")
    for _ in range(2):
        said = await lanes.run([call(of, n) for n in range(150)])
        assert {n: each.code for n, each in enumerate(said) if each.code} == {77: "script.timeout"}
        assert said[77].message == "growth/fit was cut off after 50 ms."
        assert [each.value for n, each in enumerate(said) if n != 77] == [n for n in range(150) if n != 77]
    assert lanes.quarantined() == []


def test_a_script_that_is_cut_off_again_and_again_is_left_alone_and_tried_again() -> None:
    of = script("def main(n):\n    while n:\n        pass\n    return n")
    with Lanes(1, strikes=2, pause=1.5) as running:
        said = running.run_now([call(of, 1, seed=str(n)) for n in range(20)])
        assert [each.code for each in said] == ["script.timeout"] * 2 + ["script.quarantined"] * 18
        (left,) = running.quarantined()
        assert (left.script.path, left.code, 0 < left.seconds <= 1.5) == ("growth/fit", "script.timeout", True)
        assert running.run_now([call(of, 0)])[0].code == "script.quarantined"
        assert values(running.run_now([call(script("def main(n):\n    return n", "other"), 5)])) == [5]
        while running.quarantined():
            time.sleep(0.05)
        assert values(running.run_now([call(of, 0)])) == [0]


def test_a_script_may_have_more_time_of_its_own(lanes: Lanes) -> None:
    source = "def main(n):\n    x = 0\n    for i in range(n):\n        x += i\n    return x"
    said = lanes.run_now([call(script(source, "short", 5), 10**6), call(script(source, "long", 5000), 10**6)])
    assert [each.code for each in said] == ["script.timeout", ""]


def test_many_scripts_share_few_workers_and_none_sees_another() -> None:
    with Lanes(2) as running:
        scripts = [script(f"OWN = {n}\n\n\ndef main(n):\n    return [OWN, n]", f"s{n}") for n in range(40)]
        calls = [call(each, round) for round in range(5) for each in scripts]
        assert values(running.run_now(calls)) == [[n, round] for round in range(5) for n in range(40)]


def test_a_session_that_was_used_often_is_replaced_unseen() -> None:
    of = script("def main(n):\n    return n")
    with Lanes(1) as running:
        assert values(running.run_now([call(of, n) for n in range(12_000)])) == list(range(12_000))


async def test_what_is_asked_in_vast_numbers_waits_its_turn() -> None:
    of = script("def main(n):\n    return n")
    with Lanes(2) as running:
        said = await asyncio.gather(*(running.run([call(of, n) for n in range(9_000)]) for _ in range(4)))
        assert all(values(each) == list(range(9_000)) for each in said)


async def test_workers_end_with_the_lanes_and_who_waits_is_told() -> None:
    endless = script("def main(n):\n    while True:\n        pass", timeout_ms=600_000)
    running = Lanes(1)
    assert values(running.run_now([call(script("def main(n):\n    return 1"))])) == [1]
    waiting = asyncio.create_task(running.run([call(endless), call(endless, 2)]))
    await asyncio.sleep(0.2)
    running.close()
    with pytest.raises(Overloaded):
        await asyncio.wait_for(waiting, 5)
    with pytest.raises(Overloaded):
        running.run_now([call(endless)])


TEXTS = [
    'def main(n):\n    """One line."""\n    return 1',
    'def main(n):\n    """Several\n\n      lines.\n    """\n    return """a\n  b"""',
    'TEXT = """a\n b\nc"""\n\n\ndef main(n):\n    return TEXT',
    'TEXT = [\n    """a\n b""",\n    "c",\n]\n\n\ndef main(n):\n    return TEXT',
    'TEXT = (\n    """a\n b"""\n)\n\n\ndef main(n):\n    return TEXT',
    "TEXT = '''a\n b'''\n\n\ndef main(n):\n    return TEXT",
    "TEXT = 'a\\\n b'\n\n\ndef main(n):\n    return TEXT",
    'TEXT = f"""a\n {1 + 1}"""\n\n\ndef main(n):\n    return TEXT',
    'def main(n):\n    x = \'"""\' + """\n  \'a"""\n    return x',
    'def main(n):\n    x = """a""" """\n b"""\n    return x',
]


@pytest.mark.parametrize("source", TEXTS)
def test_a_text_is_what_python_reads(lanes: Lanes, source: str) -> None:
    names: dict[str, Any] = {}
    exec(source, names)
    assert values(lanes.run_now([call(script(source))])) == [names["main"](0)]
