"""What backtests tell of contacts in detail, taken out of their files."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec

from overture.backtest.job import Job
from overture.backtest.report import encode


def forget(directory: Path, names: Collection[str], words: Collection[str], until: int) -> bool:
    """Take contacts out of all results; the sums stay. False while a job is under way that began to read before
    ``until`` (ms), and may still tell of them. Blocking; raises OSError.
    """
    all_over = True
    for path in directory.glob("bt-*"):
        job = Job(path)
        request = job.request()
        if job.state() in ("waiting", "running"):
            all_over = all_over and request is not None and request.created_at > until
        else:
            if job.state() == "failed":
                job.contacts.unlink(missing_ok=True)  # nobody reads it, and its last line may be torn
            _forget(job, names, words)
    return all_over


def _forget(job: Job, names: Collection[str], words: Collection[str]) -> None:
    if job.contacts.exists():
        lines = job.contacts.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if msgspec.json.decode(line)["contact"] not in names]
        if len(kept) < len(lines):
            job.write(job.contacts.name, b"".join(kept))
    summary = job.summary()
    if summary is not None:
        failures = [each for each in summary.get("failures", []) if each["contact"] not in names]
        if len(failures) < len(summary.get("failures", [])):
            job.write("summary.json", encode({**summary, "failures": failures}))
    said = job.directory / "said"
    if said.exists() and any(word in (text := said.read_text("utf-8", "replace")) for word in words) and text:
        said.unlink()
    job.spill.unlink(missing_ok=True)  # left by a server that vanished
