"""The process that fuzzes: `python -m bench.fuzz.target FOLDER SECONDS`; started by `bench.fuzz`.

It writes what breaks a promise to ``FOLDER/findings``, what it is at to ``FOLDER/now``, figures to ``FOLDER/figures``.
"""

from __future__ import annotations

import json
import sys
import traceback
from hashlib import sha256
from pathlib import Path
from random import Random

import atheris

with atheris.instrument_imports(include=["overture"]):
    from bench.fuzz.promises import SLOW, check, text_of
from bench.fuzz.mutate import SIZE, Mutator


class Fuzzing:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mutator = Mutator([path.read_text("utf-8") for path in sorted((folder / "seeds").iterdir())])
        self.runs = 0
        self.slowest = 0.0
        self.slow = 0

    def one(self, data: bytes) -> None:
        text = text_of(data)
        (self.folder / "now").write_bytes(data)
        spent = 0.0
        try:
            spent = check(text, layout=self.runs % 4 == 0)
        except Exception as error:
            self.keep("crash", _where(error), data, traceback.format_exc())
        self.runs += 1
        self.slowest = max(self.slowest, spent)
        if spent > SLOW and self.slow < 200:  # with instrumentation: the parent measures these again without
            self.slow += 1
            self.keep("slow", str(self.slow), data, f"{spent:.2f} s instrumented\n")
        if self.runs % 50 == 0:
            (self.folder / "figures").write_text(json.dumps({"runs": self.runs, "slowest": self.slowest}))

    def keep(self, kind: str, key: str, data: bytes, why: str) -> None:
        """The shortest input for each reason."""
        path = self.folder / "findings" / f"{kind}-{sha256(key.encode()).hexdigest()[:12]}"
        if not path.exists() or len(path.read_bytes()) > len(data):
            path.write_bytes(data)
            path.with_suffix(".txt").write_text(why, "utf-8", "backslashreplace")

    def mutate(self, data: bytes, size: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.2:
            return atheris.Mutate(data, size)
        text = self.mutator.mutate(data.decode("utf-8", "replace"), random)
        return text.encode("utf-8", "replace")[:size]


def _where(error: Exception) -> str:
    """The same for the same mistake: kind and place."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} {[(Path(f.filename).name, f.lineno) for f in frames[-3:]]}"


def main() -> None:
    folder, seconds = Path(sys.argv[1]), int(sys.argv[2])
    fuzzing = Fuzzing(folder)
    options = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-max_len={SIZE}",
        "-timeout=30",
        "-rss_limit_mb=3000",
        "-len_control=0",
        "-verbosity=0",
        f"-artifact_prefix={folder}/findings/native-",
        str(folder / "corpus"),
        str(folder / "seeds"),
    ]
    atheris.Setup(options, fuzzing.one, custom_mutator=fuzzing.mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
