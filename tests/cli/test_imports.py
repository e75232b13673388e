"""Files as they come: encodings, delimiters, broken quotes; which mapping is taken, and what is said where none is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from overture.cli.main import run
from overture.model.environ import without_settings

MAPPING = "contact: {user_id: user}\nfacts: [{type: seen, properties: {note: note}}]\n"


def dry(capsys: pytest.CaptureFixture[str], file: Path, *options: str) -> Any:
    run(["import", str(file), *options, "--dry-run", "--json"])
    return json.loads(capsys.readouterr().out)


def sentence(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["import", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    (line,) = told.err.strip().splitlines()
    return line


@pytest.fixture
def mapping(tmp_path: Path) -> str:
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    return str(tmp_path / "mapping.yaml")


def notes(told: Any) -> list[str]:
    return [fact["properties"]["note"] for fact in told["first"]]


@pytest.mark.parametrize(
    ("encoding", "option"),
    [("utf-8", ""), ("utf-8-sig", ""), ("utf-16", ""), ("latin-1", "latin-1"), ("cp1252", "cp1252")],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mapping: str, encoding: str, option: str, delimiter: str
) -> None:
    file = tmp_path / "file.csv"
    rows = [["user", "note"], ["ü1", '"größer\r\n, ; | als"'], ["ü2", '"""é"""']]
    file.write_bytes("\r\n".join(delimiter.join(row) for row in rows).encode(encoding))
    options = ["--encoding", option] if option else []
    told = dry(capsys, file, "--mapping", mapping, *options)
    assert notes(told) == ["größer\r\n, ; | als", '"é"']
    assert [fact["contact"]["user_id"] for fact in told["first"]] == ["ü1", "ü2"]


def test_what_is_not_in_the_encoding_costs_its_own_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mapping: str
) -> None:
    file = tmp_path / "file.csv"
    file.write_bytes(b"user,note\na,one\nb,caf\xe9\nc,three\n")
    assert "is not UTF-8 (line 3)" in sentence(capsys, str(file), "--mapping", mapping, "--dry-run")
    told = dry(capsys, file, "--mapping", mapping, "--encoding", "utf-8")
    assert (notes(told), told["refused"]) == (["one", "three"], 1)
    assert [(each["code"], each["first_line"]) for each in told["reasons"]] == [("import.encoding", 3)]


@pytest.mark.parametrize("rest", ["c,3\nd,4\n", "c,3\nd,4", 'c,"3"\nd,4\n', 'c,3\nd,"4"'])
def test_a_quote_that_is_not_closed_costs_its_own_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mapping: str, rest: str
) -> None:
    file = tmp_path / "file.csv"
    file.write_text(f'user,note\na,1\nb,"2\n{rest}')
    told = dry(capsys, file, "--mapping", mapping)
    assert (notes(told), told["refused"]) == (["1", "3", "4"], 1)
    assert (told["reasons"][0]["code"], told["reasons"][0]["first_line"]) == ("import.row", 3)
    assert [fact["id"].rpartition(":")[2] for fact in told["first"]] == ["2", "4", "5"]


def test_a_line_without_an_end_costs_itself(capsys: pytest.CaptureFixture[str], tmp_path: Path, mapping: str) -> None:
    file = tmp_path / "file.csv"
    file.write_text("user,note\na,1\nb," + "x" * 3_000_000 + "\nc," + "y" * 70_000 + "\nd,4\n")
    told = dry(capsys, file, "--mapping", mapping)
    assert notes(told) == ["1", "4"]
    assert {each["code"]: each["first_line"] for each in told["reasons"]} == {"import.row": 3, "fact.too_large": 4}


def test_another_purpose_makes_other_facts_and_another_file_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mapping: str
) -> None:
    file, other = tmp_path / "file.csv", tmp_path / "other.csv"
    file.write_text("user,note\na,1\n")
    other.write_text("user,note\na,2\n")
    consent = tmp_path / "consent.yaml"
    text = "contact: {user_id: user}\nfacts: [{type: consent, constants: {channel: email, purpose: x, state: denied}}]"
    consent.write_text(text)
    made = [
        dry(capsys, file, "--mapping", mapping),
        dry(capsys, other, "--mapping", mapping),
        dry(capsys, file, "--mapping", str(consent)),
        dry(capsys, file, "--mapping", str(consent), "--set", "purpose=y"),
    ]
    ids = [told["first"][0]["id"] for told in made]
    assert len(set(ids)) == 4
    assert dry(capsys, file, "--mapping", mapping)["first"][0]["id"] == ids[0]


def test_without_a_mapping_it_says_how_to_get_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text(
        "Kunde,Mail,Alter,Umsatz,Seit,aktiv,PLZ\n"
        "k1,a@example.org,31,1.5,2026-01-02,yes,01099\nk2,b@example.org,,2,2026-01-03,no,1010\n"
    )
    told = sentence(capsys, "people.csv")
    assert "Kunde, Mail, Alter, Umsatz, Seit, aktiv, PLZ" in told
    assert "overture import people.csv --suggest > mapping.yaml" in told
    assert run(["import", "people.csv", "--suggest"]) == 0
    Path("mapping.yaml").write_text(capsys.readouterr().out)
    first, second = dry(capsys, Path("people.csv"), "--mapping", "mapping.yaml")["first"]
    assert first["contact"] == {"email": "a@example.org"}
    assert first["properties"] == {
        "kunde": "k1", "alter": 31, "umsatz": 1.5, "seit": "2026-01-02", "aktiv": True, "plz": "01099",
    }  # fmt: skip
    assert "alter" not in second["properties"]


HEADERS = {
    "hubspot-contacts": "Record ID,First Name,Last Name,Email,Phone Number,Contact owner,Lead Status,Create Date",
    "hubspot-consent": "Email,Portal Bounce,Portal Unsubscribe,Portal Spam Report,Global Bounce,Marketing Information",
    "marketo-contacts": "id,email,firstName,lastName,company,unsubscribed,createdAt",
    "pardot-contacts": "Prospect Id,First Name,Last Name,Email,Company,Score,Grade,Opted Out,Do Not Email",
    "mailchimp-contacts": "Email Address,First Name,Last Name,OPTIN_TIME,CONFIRM_TIME,LEID,EUID,NOTES,TAGS",
    "mailchimp-consent": "Email Address,First Name,Last Name,OPTIN_TIME,UNSUB_TIME,UNSUB_REASON,LEID,EUID",
    "activecampaign-contacts": "Email,First Name,Last Name,Phone,Account Name,Tags,Date Created",
    "eloqua-contacts": "Email Address,First Name,Last Name,Company,Business Phone,Eloqua Contact ID,Date Modified",
}


@pytest.mark.parametrize("name", HEADERS)
def test_exports_are_told_by_their_columns(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    header = HEADERS[name].split(",")
    file = tmp_path / "export.csv"
    cells = [
        "a@example.org" if "mail" in column.lower() and "do not" not in column.lower() else "" for column in header
    ]
    cells = ["7" if column in ("Record ID", "id", "LEID") else cell for column, cell in zip(header, cells, strict=True)]
    cells = ["TRUE" if column in ("Portal Unsubscribe", "Opted Out", "unsubscribed") else cell
             for column, cell in zip(header, cells, strict=True)]  # fmt: skip
    file.write_text(",".join(header) + "\n" + ",".join(cells) + "\n")
    told = dry(capsys, file)
    assert (told["mapping"], told["detected"], told["refused"]) == (name, True, 0)
    assert told["first"][0]["contact"]["email"] == "a@example.org"
    states = [fact["properties"]["state"] for fact in told["first"] if fact["type"] == "consent"]
    assert states == (["denied"] if "TRUE" in cells or name == "mailchimp-consent" else [])


def test_an_export_that_may_be_two_things_is_asked_about(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "export.csv"
    file.write_text("Record ID,First Name,Email,Opted Out\n1,a,b@example.org,\n")
    assert "could be hubspot-contacts or pardot-contacts" in sentence(capsys, str(file))


def test_mistakes_in_a_mapping(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file, own = tmp_path / "file.csv", tmp_path / "own.yaml"
    file.write_text("user,note,note\na,1,2\n")

    def told(text: str, *more: str) -> str:
        own.write_text(text)
        return sentence(capsys, str(file), "--mapping", str(own), *more)

    assert "'note' more than once" in told(MAPPING)
    assert "no 'name' among its columns" in told(MAPPING.replace("user_id: user", "user_id: name"))
    assert "contact: 'name' is none of user_id" in told(MAPPING.replace("user_id", "name"))
    assert "facts.0.type: it must be lower-case words" in told(MAPPING.replace("seen", "Seen It"))
    assert "there is no time zone 'Mars'" in told(MAPPING.replace("note: note", "t: {column: user, zone: Mars}"))
    assert "it is not YAML, line 1" in told("contact: {")
    assert "it has no constant x to set" in told(MAPPING, "--set", "x=1")
    assert "hubspot-list does not know list" in sentence(capsys, str(file), "--mapping", "hubspot-list")
    assert "Ready mappings: activecampaign-consent" in sentence(capsys, str(file), "--mapping", "none")
    assert "cannot be read" in sentence(capsys, str(tmp_path / "none.csv"))
    (tmp_path / "empty.csv").write_text("")
    assert "has no header" in sentence(capsys, str(tmp_path / "empty.csv"))


def test_a_row_whose_quotes_close_is_refused_as_a_whole(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mapping: str
) -> None:
    """What stands in a cell never becomes rows of its own: anyone may have written it."""
    file = tmp_path / "file.csv"
    file.write_bytes(
        b'user,note\na,1,more,"first\nvictim,2\nend"\nb,3\n'
        b'c,"first\nvictim,4\ncaf\xe9, ""\nvictim,5\n"\nd,6\n'
        b'e,"' + 20_000 * b"victim,7\n" + b'"\nf,8\n'
    )
    told = dry(capsys, file, "--mapping", mapping, "--encoding", "utf-8")
    assert ([fact["contact"]["user_id"] for fact in told["first"]], told["rows"]) == (["b", "d", "f"], 6)
    assert {each["code"]: each["first_line"] for each in told["reasons"]} == {
        "import.cells": 2, "import.encoding": 6, "fact.too_large": 12,
    }  # fmt: skip


def test_a_quote_counts_as_closed_within_a_million_characters(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mapping: str
) -> None:
    file = tmp_path / "file.csv"
    line = f"line,{'1' * 94}\n"
    short, long = (f'"{n * line}"' for n in (10_000, 11_000))
    file.write_text(f"user,note\na,{short}\nb,2\nc,{long}\nd,4\n")
    told = dry(capsys, file, "--mapping", mapping)
    reasons = {each["code"]: (each["count"], each["first_line"]) for each in told["reasons"]}
    assert reasons == {"fact.too_large": (1, 2), "import.row": (2, 10_004)}, "its first line, and the one of its end"
    assert (told["rows"], told["accepted"]) == (3 + 11_000 + 1, 1 + 10_999 + 1)


def test_quotes_that_never_close_do_not_read_the_rest_again_for_each_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, mapping: str
) -> None:
    file = tmp_path / "file.csv"
    file.write_text("user,note\n" + 'x","\n' * 60_000 + "a,1\n")
    told = dry(capsys, file, "--mapping", mapping)
    assert (told["rows"], told["refused"], notes(told)) == (60_001, 60_000, ["1"])


def test_a_report_that_cannot_be_written_is_one_sentence(tmp_path: Path, mapping: str) -> None:
    file = tmp_path / "file.csv"
    file.write_text("user,note\n" + "a,1,more\n" * 20_000)
    overture = [sys.executable, "-m", "overture.cli", "import", str(file), "--mapping", mapping]
    full = subprocess.run(
        ["bash", "-c", 'ulimit -f 100; exec "$@"', "full", *overture],
        env={**without_settings(), "OVERTURE_WRITE_KEY": "x" * 20}, capture_output=True, text=True,
    )  # fmt: skip
    assert (full.returncode, full.stderr.count("\n"), "cannot be written" in full.stderr) == (2, 1, True)
    told = subprocess.run([*overture, "--json"], env={**without_settings(), "OVERTURE_WRITE_KEY": "x" * 20}, stdout=-1)
    assert json.loads(told.stdout)["refused"] == 20_000, "with room again it goes on"
    with (tmp_path / "file.csv.import" / "refused.csv").open() as report:
        assert [int(line.split(",")[0]) for line in report.readlines()[1:]] == list(range(2, 20_002))
