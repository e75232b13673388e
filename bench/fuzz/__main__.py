"""`python -m bench.fuzz --minutes 10`: the reader and checker of rulesets against arbitrary documents.

Guided by coverage (atheris, from the extra ``fuzz``), from the shipped rulesets and the corpora of bad ones, with
mutations that know the language. Exit code 0: no crash, nothing that takes more than a second of the processor.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from bench.fuzz.mutate import SIZE
from bench.fuzz.promises import SLOW, text_of, took

ROOT = Path(__file__).parents[2]
SEEDS = ("rulesets/*.yaml", "tests/rules/bad/*/*.yaml", "tests/trial/bad/*.yaml")


def main() -> int:
    options = _options()
    if find_spec("atheris") is None:
        print("atheris is missing: pip install 'overture[fuzz]'", file=sys.stderr)
        return 2
    folder = Path(options.folder or tempfile.mkdtemp(prefix="fuzz-"))
    for name in ("seeds", "corpus", "findings"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    seeds = _seeds(folder / "seeds")
    deadline = time.monotonic() + options.minutes * 60
    runs, slowest, deaths = 0, 0.0, 0
    while (left := deadline - time.monotonic()) > 5:
        code = _fuzz(folder, int(left))
        figures = json.loads((folder / "figures").read_text()) if (folder / "figures").exists() else {}
        runs, slowest = runs + figures.get("runs", 0), max(slowest, figures.get("slowest", 0))
        if code == 0:
            break
        deaths += 1  # a crash below Python, or a hang: what it was at is kept, and it goes on
        (folder / "findings" / f"death-{deaths}").write_bytes((folder / "now").read_bytes())
    crashes = sorted(p for p in (folder / "findings").iterdir() if p.name.startswith("crash-") and not p.suffix)
    hangs = _hangs(folder)
    print(f"seeds {seeds}, runs {runs:,}, documents of new coverage {len(list((folder / 'corpus').iterdir())):,}")
    print(f"crashes {len(crashes)}, deaths of the process {deaths}, over {SLOW:g} s {len(hangs)}")
    print(f"slowest {slowest:.2f} s, measured with instrumentation")
    for path in (*crashes, *hangs):
        print(f"--- {path}\n{path.with_suffix('.txt').read_text()}")
    return 1 if crashes or deaths or hangs else 0


def _seeds(into: Path) -> int:
    found = [path for pattern in SEEDS for path in sorted(ROOT.glob(pattern)) if path.stat().st_size <= SIZE]
    for number, path in enumerate(found):
        (into / f"{number:04}").write_bytes(path.read_bytes())
    return len(found)


def _fuzz(folder: Path, seconds: int) -> int:
    (folder / "figures").unlink(missing_ok=True)
    command = [sys.executable, "-m", "bench.fuzz.target", str(folder), str(seconds)]
    with (folder / "output.txt").open("ab") as output:
        done = subprocess.run(command, cwd=ROOT, stdout=output, stderr=output, check=False)
    return done.returncode


def _hangs(folder: Path) -> list[Path]:
    """What is slow without instrumentation too."""
    found: list[Path] = []
    for path in sorted(p for p in (folder / "findings").iterdir() if p.name.startswith("slow-") and not p.suffix):
        spent = took(text_of(path.read_bytes()))
        if spent > SLOW:
            path.with_suffix(".txt").write_text(f"{spent:.2f} s\n")
            found.append(path)
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--folder", help="where corpus and findings are kept; a new one by default")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
