"""`overture import` against a real server: exact whatever is killed, and one bad row is one line of a report."""

from __future__ import annotations

import csv
import json
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from serverkit import ADMIN, PATIENCE, WRITE, Mailbox, Server, eventually, fresh, overture

from overture.model.environ import without_settings

COUNTING = """\
apiVersion: overture/v1
kind: Ruleset
name: counting
requires: {channels: [email]}
facts: {bought: {total: number}, joined: {}}
scores: {spent: {}, bought: {}}
lists: {letter: {channel: email, purpose: marketing}}
templates: {welcome: {subject: Welcome, text: Welcome}}
rules:
  joined:
    when: fact.type == "joined"
    then: [{send: {channel: email, template: welcome, purpose: transactional}}]
  bought:
    when: fact.type == "bought"
    then: [{score: {name: spent, add: =fact.total}}, {score: {name: bought, add: 1}}]
"""
BOUGHT = """\
contact: {user_id: user}
facts:
  - type: bought
    properties: {total: {column: total, type: number}}
    occurred_at: {column: day, format: "%d.%m.%Y", zone: Europe/Vienna}
"""


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("importing"), RULESETS="", SMTP_URL=mailbox.url) as running:
        running.deploy("counting", COUNTING)
        yield running


def environ(server: Server) -> Mapping[str, str]:
    return {"OVERTURE_PORT": str(server.port), "OVERTURE_ADMIN_KEY": ADMIN, "OVERTURE_WRITE_KEY": WRITE}


def imported(server: Server, file: Path, *options: str, code: int = 0) -> Any:
    run = overture("import", str(file), *options, "--json", environ=environ(server))
    assert run.returncode == code, (run.stdout, run.stderr)
    return json.loads(run.stdout)


def failed(server: Server, file: Path, *options: str) -> str:
    run = overture("import", str(file), *options, environ=environ(server))
    assert run.returncode == 2, (run.stdout, run.stderr)
    return " ".join(run.stderr.split())


def written(directory: Path, text: str, mapping: str = BOUGHT) -> tuple[Path, str]:
    (directory / "mapping.yaml").write_text(mapping)
    file = directory / "file.csv"
    file.write_text(text)
    return file, str(directory / "mapping.yaml")


def refused(file: Path) -> list[list[str]]:
    with (file.parent / f"{file.name}.import" / "refused.csv").open(newline="") as report:
        return list(csv.reader(report))


def test_rows_become_facts_once_however_often_it_is_run(counting: Server, tmp_path: Path) -> None:
    ada, bob = fresh("ada"), fresh("bob")
    file, mapping = written(tmp_path, f"user,total,day\n{ada},5,01.02.2025\n{bob},7.5,02.02.2025\n{ada},2,03.02.2025\n")
    first = imported(counting, file, "--mapping", mapping)
    assert (first["rows"], first["accepted"], first["duplicates"], first["refused"]) == (3, 3, 0, 0)
    assert counting.contact(ada)["scores"] == {"spent": 7, "bought": 2}
    assert counting.contact(bob)["scores"] == {"spent": 7.5, "bought": 1}
    times = [moment["fact"]["occurred_at"] for moment in counting.timeline(ada)]
    assert times == ["2025-01-31T23:00:00.000Z", "2025-02-02T23:00:00.000Z"]
    assert imported(counting, file, "--mapping", mapping) == first | {"reasons": []}, "it knows that it is done"
    for each in (tmp_path / "file.csv.import").iterdir():
        each.unlink()
    again = imported(counting, file, "--mapping", mapping)
    assert (again["accepted"], again["duplicates"]) == (0, 3)
    assert counting.contact(ada)["scores"] == {"spent": 7, "bought": 2}


def test_a_bad_row_is_told_with_line_and_reason_and_stops_nothing(counting: Server, tmp_path: Path) -> None:
    ada = fresh("ada")
    rows = [
        f"{ada},1,01.02.2025",
        f"{ada},much,01.02.2025",
        f"{ada},1,2025-02-01",
        f'{ada},"1,01.02.2025',
        f"{ada},1,01.02.2025,more",
        ",1,01.02.2025",
        f"{ada},1,01.02.2999",
        f'{ada},"1",01.02.2025',
    ]
    file, mapping = written(tmp_path, "user,total,day\n" + "\n".join(rows) + "\n")
    told = imported(counting, file, "--mapping", mapping, code=1)
    assert (told["rows"], told["accepted"], told["refused"]) == (8, 2, 6)
    assert counting.contact(ada)["scores"] == {"spent": 2, "bought": 2}
    head, *lines = refused(file)
    assert head == ["line", "code", "reason", "user", "total", "day"]
    assert [(int(line), code) for line, code, *_ in lines] == [
        (3, "import.value"), (4, "import.value"), (5, "import.row"), (6, "import.cells"), (7, "fact.contact_empty"),
        (8, "fact.future"),
    ]  # fmt: skip
    assert lines[0][2:] == ["total: 'much' is not a number.", ada, "much", "01.02.2025"]
    assert told["report"] == str(file) + ".import/refused.csv"


def test_the_report_can_be_mended_and_imported(counting: Server, tmp_path: Path) -> None:
    ada = fresh("ada")
    file, mapping = written(tmp_path, f"user,total,day\n{ada},1,01.02.2025\n{ada},two,01.02.2025\n")
    imported(counting, file, "--mapping", mapping, code=1)
    report = tmp_path / "file.csv.import" / "refused.csv"
    report.write_text(report.read_text().replace(",two,", ",2,"))
    mended = imported(counting, report, "--mapping", mapping)
    assert (mended["accepted"], counting.contact(ada)["scores"]["spent"]) == (1, 3)


def begun(server: Server, file: Path, mapping: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "overture.cli", "import", str(file), "--mapping", mapping, "--json"],
        env={**without_settings(), **environ(server)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def line_of(place: Path) -> int:
    return json.loads(place.read_text())["line"] if place.exists() else 0


def test_killed_in_the_middle_it_goes_on_and_the_result_is_exact(counting: Server, tmp_path: Path) -> None:
    people = [fresh("p") for _ in range(20)]
    rows = [f"{people[n % 20]},{'x' if n % 1000 == 7 else 1},01.02.2025" for n in range(20_000)]
    file, mapping = written(tmp_path, "user,total,day\n" + "\n".join(rows) + "\n")
    place = tmp_path / "file.csv.import" / "place.json"
    for target in (1_000, 8_000):
        running = begun(counting, file, mapping)
        eventually(lambda target=target: line_of(place) > target, "it is under way")
        running.send_signal(signal.SIGKILL)
        running.wait(PATIENCE)
    assert 8_000 < line_of(place) < 20_001, "it was killed in the middle"
    with place.parent.joinpath("refused.csv").open("a") as report:
        report.write("half of a li")
    told = imported(counting, file, "--mapping", mapping, code=1)
    assert (told["rows"], told["facts"], told["refused"]) == (20_000, 19_980, 20)
    assert told["accepted"] + told["duplicates"] == 19_980
    assert [int(line[0]) for line in refused(file)[1:]] == [n + 2 for n in range(7, 20_000, 1000)]
    counting.drained()
    spent = {each: counting.contact(each)["scores"]["spent"] for each in people}
    assert spent == {each: 1000 - 20 * (n == 7) for n, each in enumerate(people)}


def test_a_file_that_changed_meanwhile_is_not_done_and_is_once_it_is_restored(counting: Server, tmp_path: Path) -> None:
    ada = fresh("ada")
    head, row = "user,total,day\n", f"{ada},1,01.02.2025\n"
    file, mapping = written(tmp_path, head + row * 12_000)
    place = tmp_path / "file.csv.import" / "place.json"
    running = begun(counting, file, mapping)
    eventually(lambda: line_of(place) > 1_000, "it is under way")
    running.send_signal(signal.SIGSTOP)
    file.write_text(head + row * 10_000)
    running.send_signal(signal.SIGCONT)
    assert running.wait(PATIENCE) == 2
    assert line_of(place) < 10_000, "nothing is posted that was read after the change"
    assert "with other content" in failed(counting, file, "--mapping", mapping)
    file.write_text(head + row * 12_000)
    told = imported(counting, file, "--mapping", mapping)
    assert (told["rows"], told["accepted"] + told["duplicates"]) == (12_000, 12_000)
    counting.drained()
    assert counting.contact(ada)["scores"]["spent"] == 12_000


def test_where_nothing_could_be_written_the_same_command_goes_on_later(counting: Server, tmp_path: Path) -> None:
    ada = fresh("ada")
    file, mapping = written(tmp_path, f"user,total,day\n{ada},1,01.02.2025\n")
    run = subprocess.run(
        [sys.executable, "-m", "overture.cli", "import", str(file), "--mapping", mapping],
        env={**without_settings(), **environ(counting)}, capture_output=True, text=True, timeout=PATIENCE,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),  # as on a disk that is full
    )  # fmt: skip
    assert run.returncode == 2
    assert "cannot be written" in run.stderr
    assert imported(counting, file, "--mapping", mapping)["accepted"] == 1


def test_other_content_or_another_mapping_is_refused_before_it_doubles_rows(counting: Server, tmp_path: Path) -> None:
    ada = fresh("ada")
    text = f"user,total,day\n{ada},1,01.02.2025\n{ada},two,01.02.2025\n"
    file, mapping = written(tmp_path, text)
    first = imported(counting, file, "--mapping", mapping, code=1)
    report = tmp_path / "file.csv.import" / "refused.csv"
    report.write_text(mended := report.read_text().replace(",two,", ",2,"))

    file.write_text(f"{text}{ada},4,01.02.2025\n")
    told = failed(counting, file, "--mapping", mapping)
    assert "with other content, 2 rows of it" in told
    file.write_text(text)
    other = tmp_path / "other.yaml"
    other.write_text(BOUGHT.replace("type: bought", "type: joined"))
    assert "another mapping" in failed(counting, file, "--mapping", str(other))
    assert "another deliver" in failed(counting, file, "--mapping", mapping, "--deliver")

    again = imported(counting, file, "--mapping", mapping, code=1)
    assert again == first | {"reasons": []}, "it knows that it is done"
    assert report.read_text() == mended, "what was mended by hand stays"
    assert counting.contact(ada)["scores"] == {"spent": 1, "bought": 1}

    copy = tmp_path / "copy.csv"
    copy.write_text(text)
    assert imported(counting, copy, "--mapping", str(other), code=1)["accepted"] == 1
    report.with_name("place.json").unlink()
    assert "nothing says of which import" in failed(counting, file, "--mapping", mapping)
    assert report.read_text() == mended


def test_consents_and_lists(counting: Server, tmp_path: Path) -> None:
    ada, bob = f"{fresh('ada')}@example.org", f"{fresh('bob')}@example.org"
    head = '"Email Address","First Name",OPTIN_TIME,CONFIRM_TIME,LEID,EUID,TAGS,'
    subscribed, gone = tmp_path / "subscribed.csv", tmp_path / "unsubscribed.csv"
    subscribed.write_text(f'{head}NOTES\n{ada},Ada,,"2024-03-01 10:00:00",{fresh("l")},e1,"""a"",b",\n')
    gone.write_text(f'{head}UNSUB_TIME\n{bob},Bob,,,{fresh("l")},e2,,"2024-04-01 10:00:00"\n')
    assert imported(counting, subscribed)["mapping"] == "mailchimp-contacts"
    members = tmp_path / "members.csv"
    members.write_bytes(subscribed.read_bytes())
    told = imported(counting, members, "--mapping", "mailchimp-list", "--set", "list=letter")
    assert (told["rows"], told["accepted"]) == (1, 2)
    found = counting.contact(f"email:{ada}")
    assert (found["traits"]["first_name"], found["lists"]) == ("Ada", ["letter"])
    assert found["consent"] == {"email": {"marketing": "granted"}}
    assert imported(counting, gone)["mapping"] == "mailchimp-consent"
    assert counting.contact(f"email:{bob}")["consent"] == {"email": {"marketing": "denied"}}


def test_nothing_is_sent_unless_it_is_to_be_delivered(counting: Server, mailbox: Mailbox, tmp_path: Path) -> None:
    joined = "contact: {email: email}\nfacts: [{type: joined}]\n"
    for option, mails in ((), 0), (("--deliver",), 1):
        ada = f"{fresh('ada')}@example.org"
        (directory := tmp_path / str(mails)).mkdir()
        file, mapping = written(directory, f"email\n{ada}\n", joined)
        imported(counting, file, "--mapping", mapping, *option)
        counting.settled()
        assert len(mailbox.to(ada)) == mails


def test_a_dry_run_posts_nothing_and_counts_as_the_server_would(counting: Server, tmp_path: Path) -> None:
    ada = fresh("ada")
    file, mapping = written(tmp_path, f"user,total,day\n{ada},1,01.02.2025\n$me,1,01.02.2025\n{ada},x,01.02.2025\n")
    told = imported(counting, file, "--mapping", mapping, "--dry-run", code=1)
    assert [(each["code"], each["first_line"]) for each in told["reasons"]] == [
        ("fact.user_id_reserved", 3),
        ("import.value", 4),
    ]
    (first,) = told["first"]
    assert (first["type"], first["contact"], first["properties"]) == ("bought", {"user_id": ada}, {"total": 1})
    assert counting.find(ada) is None
    assert not (tmp_path / "file.csv.import").exists()
    shown = overture("import", str(file), "--mapping", mapping, "--dry-run").stdout
    assert '"type": "bought"' in shown
    assert "3 rows, 2 facts: 1 would be taken, 0 duplicates; 2 rows refused, 0 skipped" in shown
    assert "1 × import.value, first in line 4: total: 'x' is not a number." in shown


def test_a_server_that_refuses_the_key_and_one_that_is_not_there(counting: Server, tmp_path: Path) -> None:
    file, mapping = written(tmp_path, "user,total,day\nada,1,01.02.2025\n")
    wrong = {**environ(counting), "OVERTURE_WRITE_KEY": "x" * 20}
    run = overture("import", str(file), "--mapping", mapping, environ=wrong)
    assert (run.returncode, "auth.key_unknown" in run.stderr) == (2, True)
    told = imported(counting, file, "--mapping", mapping, "--deliver")
    assert told["accepted"] == 1, "nothing was posted: it may be imported otherwise"
    run = overture("import", str(file), "--mapping", mapping, "--url", "nowhere", environ=wrong)
    assert (run.returncode, "is not the address" in run.stderr) == (2, True)
