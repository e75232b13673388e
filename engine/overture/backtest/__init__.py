"""What another revision would have done: recorded facts, decided by what is active and by a candidate, and the diff.

A backtest reads: the archive, the log up to the checkpoint, the registry. It sends nothing and writes nothing but the
files of its job. It runs in a process of its own (`python -m overture.backtest`).
"""

from overture.backtest.job import Job
from overture.backtest.jobs import Jobs

__all__ = ["Job", "Jobs"]
