"""`python -m bench.hostile.scripts [--json]`: scripts that want out, or want the machine to themselves, run and timed.

`scripts.yaml` has them with how each must end: in a value, or in an error of its own code. Beside each runs an innocent
script of another ruleset, in the same workers. What is looked for: something of the host or of the other ruleset in an
answer, an answer that is another the second time, the innocent one disturbed, the loop held up, a process that dies.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from ruamel.yaml import YAML

from overture.model.script import Call, Said, Script
from overture.sandbox.lanes import Lanes

MOST = 200.0  # ms that nobody may hold the loop up
TOLD = 400  # characters of the longest message
CANARY = "canary-5e0c77"
NOW = 1_735_689_600_000
INNOCENT = Script("other", "innocent", "innocent", f"canary = '{CANARY}'\n\n\ndef main(n):\n    return n['i'] * 2\n")
_ASKED = (0, 1, 7, 0)  # 7 is the one that some are made for


def _main(expression: str) -> str:
    return f"def main(n):\n    return {expression}\n"


_DEEP = range(150)
LONG: dict[str, dict[str, str]] = {
    "script.failed": {
        "too long": _main("1") + "# x\n" * 10_000,
        "parentheses": _main("(" * 3000 + "1" + ")" * 3000),
        "brackets": _main("[" * 3000 + "]" * 3000),
        "minus signs": _main("-" * 20_000 + "1"),
        "nots": _main("not " * 7000 + "1"),
        "attributes": _main("n" + ".a" * 10_000),
        "additions": _main("1" + " + 1" * 5000),
        "calls": _main("n" + "()" * 10_000),
        "lambdas": _main("lambda: " * 3000 + "1"),
        "conditionals": _main("1 if n else " * 2000 + "1"),
        "many parameters": f"def main(n, {', '.join(f'a{i}=0' for i in range(2000))}):\n    return 1\n",
    },
    "script.timeout or script.failed or script.memory": {
        "nested functions": "".join(f"{' ' * i}def f{i}():\n" for i in _DEEP) + " " * 150 + "pass\n",
    },
    "value or script.timeout": {
        "nested blocks": "def main(n):\n" + "".join(f"{' ' * i} if n:\n" for i in _DEEP) + " " * 151 + "return 1\n",
        "many names": "def main(n):\n" + "".join(f"    a{i} = {i}\n" for i in range(1500)) + "    return 1\n",
        "long name": f"def main(n):\n    {'a' * 30_000} = 1\n    return 1\n",
    },
}
"""Sources that are long by what they repeat."""


@dataclass(frozen=True, slots=True)
class Case:
    """``ends``: the codes that it may end in; empty for a value."""

    category: str
    name: str
    source: str
    ends: tuple[str, ...]

    @property
    def script(self) -> Script:
        name = f"{self.category}/{self.name}"
        return Script("hostile", name.replace(" ", "_"), f"hostile {name}", self.source)


@dataclass(slots=True)
class Tried:
    """``wrong``: sentences on what must not be. ``cpu``: ms that this process computed, ``lag``: the loop was late.

    ``ms``: in all.
    """

    case: Case
    said: Sequence[Said]
    ms: float
    cpu: float
    lag: float
    wrong: list[str] = field(default_factory=list[str])


def _corpus() -> Iterator[Case]:
    found = YAML(typ="safe").load(Path(__file__).with_name("scripts.yaml"))
    for category, by_end in [*found.items(), ("long", LONG)]:
        for ends, cases in by_end.items():
            for name, source in cases.items():
                yield Case(category, name, source, tuple("" if end == "value" else end for end in ends.split(" or ")))


CORPUS = tuple(_corpus())


def lanes() -> Lanes:
    """Strict with what is cut off, so that the whole corpus takes seconds."""
    return Lanes(2, timeout_ms=25, strikes=2, pause=3600)


async def tried(case: Case, runner: Lanes) -> Tried:
    """One script, asked several things at once, and the first of them again, beside the innocent one."""
    calls = [_call(case.script, i) for i in _ASKED]
    innocent = [_call(INNOCENT, i) for i in range(8)]
    late = [0.0]
    watch = asyncio.create_task(_watch(late))
    began, cpu = time.perf_counter(), _computed()
    said, beside = await asyncio.gather(runner.run(calls), runner.run(innocent))
    if not said[0].code:
        said += await runner.run([calls[1], calls[0]])
    ms, cpu = (time.perf_counter() - began) * 1e3, _computed() - cpu
    watch.cancel()
    result = Tried(case, said, ms, cpu, late[0] * 1e3)
    result.wrong += _wrong(case, said)
    if [each.value for each in beside] != [2 * i for i in range(8)]:
        result.wrong.append("the innocent script was disturbed")
    return result


def _call(script: Script, i: int) -> Call:
    return Call(script, json.dumps({"n": {"i": i}}), NOW, f"fact-{i}")


def _wrong(case: Case, said: Sequence[Said]) -> Iterator[str]:
    first = said[0]
    if first.code not in case.ends:
        yield f"ends in {first.code or 'a value'}: {str(first.message or first.value)[:200]}"
    secrets = (CANARY, str(Path.home()), str(Path.cwd()), sys.prefix, *(v for v in os.environ.values() if len(v) > 12))
    for each in said:
        if each.code and (len(each.message) > TOLD or not each.message.isprintable()):
            yield "its error is not a short line"
        if any(secret in f"{each.value} {each.message}" for secret in secrets if secret != "/"):
            yield "something of the host, or of another ruleset, is in what it says"
    again = [said[3], *said[5:]]
    if any(each != first for each in again if each.code != "script.quarantined"):
        yield "the same call was answered otherwise the second time"


def _computed() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return (used.ru_utime + used.ru_stime) * 1e3


async def _watch(late: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.005)
        late[0] = max(late[0], time.perf_counter() - began - 0.005)


async def main() -> int:
    console = Console(highlight=False, soft_wrap=True)
    began = time.perf_counter()
    with lanes() as runner:
        await runner.run([_call(INNOCENT, 1)])
        results = [await tried(case, runner) for case in CORPUS]
    took = time.perf_counter() - began
    if "--json" in sys.argv:
        rows = [
            {"category": r.case.category, "name": r.case.name, "end": r.said[0].code or "value", "ms": round(r.ms, 1)}
            | {"said": str(r.said[0].message or r.said[0].value)[:200], "wrong": r.wrong}
            for r in results
        ]
        print(json.dumps(rows, indent=1))
    else:
        for category in dict.fromkeys(case.category for case in CORPUS):
            of = [r for r in results if r.case.category == category]
            ends: dict[str, int] = {}
            for r in of:
                end = r.said[0].code or "value"
                ends[end] = ends.get(end, 0) + 1
            told = ", ".join(f"{n} {end.removeprefix('script.')}" for end, n in sorted(ends.items()))
            slowest = max(of, key=lambda r: r.ms)
            console.print(f"{category:10} {len(of):4}   {told:70} slowest {slowest.ms:.0f} ms ({slowest.case.name})")
        for r in results:
            for why in r.wrong:
                console.print(f"WRONG {r.case.category}/{r.case.name}: {why}", markup=False)
        console.print(
            f"{len(CORPUS)} scripts in {took:.1f} s; "
            f"the loop was late by {max(r.lag for r in results):.0f} ms at most; "
            f"one script cost this process {max(r.cpu for r in results):.0f} ms of computing at most"
        )
    return 1 if any(r.wrong for r in results) or max(r.lag for r in results) > MOST else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
