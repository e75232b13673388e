"""A backtest as a job: a process of its own, one at a time, ended with its server, kept for a while."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from backtestkit import PARTITIONS, SCORING, START, Answer, Live, Past, bought, plan_of, replaced

from overture.backtest import Job, Jobs
from overture.backtest.job import KEPT, KEPT_MS, Request, hold, prune
from overture.backtest.jobs import AT_ONCE
from overture.model import Overloaded, Refused
from overture.model.ids import partition_of
from overture.rules import RulesetInvalid
from overture.state.registry import Registry
from overture.state.wire import Wire

PATIENCE = 30.0
DOUBLE = replaced(SCORING, ("add: = fact.total", "add: = fact.total * 2"))
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def past(store_url: str, tmp_path: Path) -> Past:
    return Past(store_url, tmp_path)


def small(past: Past) -> None:
    plan = plan_of(SCORING)
    made = Live(lambda *_: plan)
    made.post(bought("f1", "ada", 10, START))
    past.record(made, (SCORING,))


def large(past: Past) -> None:
    """Takes some seconds to replay."""
    made = Live(lambda *_: plan_of(SCORING))
    for n in range(60_000):
        fact = bought(f"f{n}", f"user-{n % 500}", 1, START + n)
        made.order.append((partition_of(fact.contact, PARTITIONS), [fact]))
    past.record(made, (SCORING,))


def with_jobs(past: Past, work: Callable[[Jobs], Awaitable[None]], channels: tuple[str, ...] = ("email",)) -> None:
    async def main() -> None:
        wire = await Wire.connect(past.url)
        jobs = Jobs(past.directory, Registry(wire, PARTITIONS), past.url, PARTITIONS, channels)
        try:
            await work(jobs)
        finally:
            await jobs.close()
            await wire.close()

    asyncio.run(main())


async def until(check: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (answer := check()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return answer


def processes() -> list[int]:
    """Backtests that this process has started."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(p) for p in children if b"overture.backtest" in Path(f"/proc/{p}/cmdline").read_bytes()]


def memory_of(pid: int) -> int:
    """Bytes that a process may take."""
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return next(int(line.split()[3]) for line in limits if line.startswith("Max data size"))


def environ_of(pid: int) -> str:
    return Path(f"/proc/{pid}/environ").read_text()


def test_a_job_answers_what_the_backtest_answers(past: Past):
    small(past)

    async def work(jobs: Jobs) -> None:
        job = await jobs.start("scoring", DOUBLE, "1d", "", "active")
        await until(lambda: job.state() not in ("waiting", "running"))
        assert job.failure() is None
        assert job.state() == "done"
        assert jobs.find(job.id).request() == job.request()
        answer = Answer(job)
        assert answer.contacts["ada"]["scores"] == {"spend": {"baseline": 10, "candidate": 20}}
        assert {n: answer.files[n] for n in ("summary.json", "contacts.ndjson")} == {
            n: here.files[n] for n in ("summary.json", "contacts.ndjson")
        }
        assert not job.spill.exists()

    here = past.backtest(DOUBLE, since="1d")
    with_jobs(past, work)


@linux
def test_it_gives_way_and_may_not_take_all_the_memory(past: Past, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OVERTURE_ADMIN_KEY", "none of its business")
    large(past)

    async def work(jobs: Jobs) -> None:
        job = await jobs.start("scoring", DOUBLE, "", "", "active")
        await until(lambda: job.progress().facts)
        (pid,) = processes()
        assert os.getpriority(os.PRIO_PROCESS, pid) >= os.getpriority(os.PRIO_PROCESS, 0) + 10
        assert memory_of(pid) <= 1 << 30
        assert "OVERTURE_ADMIN_KEY" not in environ_of(pid)
        assert job.progress().of == 60_000

    with_jobs(past, work)


@pytest.mark.parametrize("text", [DOUBLE, "name: none"])
def test_its_process_ends_in_peace(past: Past, text: str):
    small(past)
    command = [sys.executable, "-m", "overture.backtest"]
    job = past.job()
    spec = msgspec.json.encode(msgspec.structs.replace(past.spec(job), candidates={"scoring": text}))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(spec + b"\n")
    process.stdin.flush()
    assert process.stdout.read() == b""
    assert process.wait(PATIENCE) == 0
    assert (job.summary() is None) == (text != DOUBLE)
    assert (job.failure() is None) == (text == DOUBLE)


@linux
def test_removing_a_job_ends_its_process(past: Past):
    large(past)

    async def work(jobs: Jobs) -> None:
        job = await jobs.start("scoring", DOUBLE, "", "", "active")
        await until(processes)
        await jobs.remove(job.id)
        assert processes() == []
        assert not job.directory.exists()
        with pytest.raises(Refused) as refused:
            jobs.find(job.id)
        assert (refused.value.code, refused.value.status) == ("backtest.unknown", 404)

    with_jobs(past, work)


@linux
def test_removing_a_job_of_another_process(past: Past):
    """Two servers on one data directory: one is asked, the other runs it."""
    large(past)

    async def work(jobs: Jobs) -> None:
        job = await jobs.start("scoring", DOUBLE, "", "", "active")
        await until(processes)
        wire = await Wire.connect(past.url)
        other = Jobs(past.directory, Registry(wire, PARTITIONS), past.url, PARTITIONS, ())
        await other.remove(job.id)
        await wire.close()
        assert not job.directory.exists()
        await until(lambda: processes() == [])

    with_jobs(past, work)


@linux
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_process_is_no_job_done(past: Past, sign: signal.Signals):
    large(past)

    async def work(jobs: Jobs) -> None:
        job = await jobs.start("scoring", DOUBLE, "", "", "active")
        await until(lambda: job.progress().facts)
        os.kill(processes()[0], sign)
        await until(lambda: job.state() not in ("waiting", "running"))
        assert job.state() == "failed"
        failure = job.failure()
        assert failure is not None
        assert failure.code == "backtest.failed"
        assert job.summary() is None

    with_jobs(past, work)


@linux
def test_a_server_that_stops_takes_its_jobs_with_it(past: Past):
    large(past)
    left: list[Job] = []

    async def work(jobs: Jobs) -> None:
        left.append(await jobs.start("scoring", DOUBLE, "", "", "active"))
        left.append(await jobs.start("scoring", DOUBLE, "", "", "active"))
        await until(processes)

    with_jobs(past, work)
    assert processes() == []
    assert [job.state() for job in left] == ["failed", "failed"]


def test_one_runs_at_a_time_and_few_may_wait(past: Past):
    small(past)

    async def work(jobs: Jobs) -> None:
        jobs.directory.mkdir(parents=True)
        with hold(jobs.directory / "turn"):  # as another server's job does
            waiting = [await jobs.start("scoring", DOUBLE, "", "", "active") for _ in range(8)]
            with pytest.raises(Overloaded) as refused:
                await jobs.start("scoring", DOUBLE, "", "", "active")
            assert refused.value.code == "backtest.busy"
            assert {job.state() for job in waiting} == {"waiting"}
            for job in waiting[1:]:
                await jobs.remove(job.id)
        await until(lambda: waiting[0].state() == "done")
        again = await jobs.start("scoring", DOUBLE, "", "", "active")
        await until(lambda: again.state() == "done")

    with_jobs(past, work)


def test_who_asks_at_once_gets_no_more_than_who_asks_in_turn(past: Past):
    small(past)

    async def work(jobs: Jobs) -> None:
        jobs.directory.mkdir(parents=True)
        for n in range(KEPT):  # so many that each new one has the old ones looked at
            Job(jobs.directory / f"bt-{n:08x}").directory.mkdir()
        with hold(jobs.directory / "turn"):
            asked = [jobs.start("scoring", DOUBLE, "", "", "active") for _ in range(30)]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            taken = [answer for answer in answers if isinstance(answer, Job)]
            assert len(taken) == AT_ONCE
            assert {type(answer) for answer in answers if not isinstance(answer, Job)} == {Overloaded}
            assert {job.state() for job in taken} == {"waiting"}
            assert all(job.request() is not None for job in taken)

    with_jobs(past, work)


def test_two_servers_do_not_take_the_others_job_for_an_old_one(past: Past):
    """Both make jobs in one directory, and look for old ones there while the other is at it."""
    small(past)

    async def work(jobs: Jobs) -> None:
        wire = await Wire.connect(past.url)
        other = Jobs(past.directory, Registry(wire, PARTITIONS), past.url, PARTITIONS, ("email",))
        jobs.directory.mkdir(parents=True)
        with hold(jobs.directory / "turn"):
            asked = [each.start("scoring", DOUBLE, "", "", "active") for each in (jobs, other) * 8]
            taken = await asyncio.gather(*asked)
            assert {job.state() for job in taken} == {"waiting"}
        await other.close()
        await wire.close()

    with_jobs(past, work)


def test_what_cannot_be_written_leaves_nothing_behind(past: Past):
    small(past)

    async def work(jobs: Jobs) -> None:
        jobs.directory.write_text("no directory")
        with pytest.raises(Refused) as refused:
            await jobs.start("scoring", DOUBLE, "", "", "active")
        assert (refused.value.code, refused.value.status) == ("backtest.not_kept", 503)
        jobs.directory.unlink()
        job = await jobs.start("scoring", DOUBLE, "", "", "active")
        await until(lambda: job.state() == "done")

    with_jobs(past, work)


@pytest.mark.parametrize(
    ("text", "since", "code"),
    [
        (SCORING.replace("fact.total", "fact.totl"), "", "ruleset.invalid"),
        (SCORING.replace("name: scoring", "name: other"), "", "ruleset.name_differs"),
        (f"{SCORING}---\n{SCORING}", "", "backtest.twice"),
        (SCORING, "sometime", "backtest.period"),
        (SCORING.replace("channels: [email]", "channels: [email, pigeon]"), "", "ruleset.invalid"),
        (SCORING.replace("requires: {channels", "requires: {scores: [lead], channels"), "", "ruleset.invalid"),
    ],
)
def test_what_cannot_be_compared_is_refused_at_once(past: Past, text: str, since: str, code: str):
    small(past)

    async def work(jobs: Jobs) -> None:
        with pytest.raises((Refused, RulesetInvalid)) as refused:
            await jobs.start("scoring", text, since, "", "active")
        assert refused.value.code == code
        assert not jobs.directory.exists()

    with_jobs(past, work)


def test_findings_in_several_documents_are_told_by_their_line_in_the_stream(past: Past):
    small(past)
    wrong = SCORING.replace("fact.total >= 50", "fact.totl >= 50")
    stream = f"# two\n---\n{SCORING}---\n{wrong}"

    async def work(jobs: Jobs) -> None:
        with pytest.raises(RulesetInvalid) as refused:
            await jobs.start("scoring", stream, "", "", "active")
        (finding,) = refused.value.diagnostics
        assert "totl" in stream.splitlines()[finding.line - 1]

    with_jobs(past, work)


def test_a_period_that_is_none_fails_the_job(past: Past):
    small(past)

    async def work(jobs: Jobs) -> None:
        job = await jobs.start("scoring", DOUBLE, "2027-01-01T00:00:00Z", "", "active")
        await until(lambda: job.state() == "failed")
        failure = job.failure()
        assert failure is not None
        assert failure.code == "backtest.period"

    with_jobs(past, work)


def test_old_jobs_are_removed(tmp_path: Path):
    def ended(n: int, at: int) -> Job:
        job = Job(tmp_path / f"bt-{n:08x}")
        job.directory.mkdir()
        job.write("request.json", b'{"id":"%s","created_at":%d,"rulesets":{},"version":1,"since":"","until":"",'
                  b'"baseline":"active"}' % (job.id.encode(), at))  # fmt: skip
        job.fail("backtest.failed", "A test.")
        return job

    now = 2 * KEPT_MS
    jobs = [ended(n, now - n) for n in range(KEPT + 3)] + [ended(99, 5)]
    with hold(jobs[-2].directory / "lock"):
        (jobs[-2].directory / "failure.json").unlink()
        prune(tmp_path, now)
    there = [job.directory.exists() for job in jobs]
    assert there == [True] * KEPT + [False] * 2 + [True, False]
    prune(tmp_path, now + 2 * KEPT_MS)
    assert list(tmp_path.iterdir()) == []


def test_a_request_survives_the_file(tmp_path: Path):
    job = Job(tmp_path / "bt-00000001")
    assert job.request() is None
    job.directory.mkdir()
    assert job.state() == "failed"
    request = Request("bt-00000001", 5, {"a": "b"}, 3, "30d", "", "recorded")
    job.write("request.json", msgspec.json.encode(request))
    assert job.request() == request


def test_what_failed_keeps_no_half_answer_whose_room_may_be_what_is_missing(tmp_path: Path):
    job = Job(tmp_path / "bt-00000001")
    job.directory.mkdir()
    job.contacts.write_bytes(b"{}\n")
    job.fail("backtest.failed", "No space left on device.")
    assert not job.contacts.exists()
    assert job.state() == "failed"
    failure = job.failure()
    assert failure is not None
    assert failure.message == "No space left on device."
