"""Scripts that want out, or want the machine to themselves: each ends in a value or in an error of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bench.hostile.scripts import CORPUS, Tried, lanes, tried

CATEGORIES = tuple(dict.fromkeys(case.category for case in CORPUS))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outcomes() -> AsyncIterator[dict[str, list[Tried]]]:
    found: dict[str, list[Tried]] = {category: [] for category in CATEGORIES}
    with lanes() as runner:
        for case in CORPUS:
            found[case.category].append(await tried(case, runner))
        yield found


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("category", CATEGORIES)
async def test_each_ends_well_and_disturbs_nobody(category: str, outcomes: dict[str, list[Tried]]) -> None:
    assert {each.case.name: each.wrong for each in outcomes[category] if each.wrong} == {}
    # What is in this process is never kept computing by what comes out of a script.
    assert max(each.cpu for each in outcomes[category]) < 1000


def test_there_are_enough() -> None:
    assert len({case.source for case in CORPUS}) == len(CORPUS) >= 120
