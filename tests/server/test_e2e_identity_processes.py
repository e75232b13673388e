"""Two servers on one store: what one of them knows of a visitor, the other may not know yet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from serverkit import Server, fact, fresh


@pytest.fixture(scope="module")
def second(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Another server that shares the store of the first."""
    url = f"unix://{server.data / 'store.sock'}"
    settings = {**server.settings, "REDIS_URL": url}
    with Server(tmp_path_factory.mktemp("second"), **settings) as running:
        yield running


def test_a_fact_posted_to_both_takes_effect_once(server: Server, second: Server) -> None:
    for _ in range(8):
        cookie, ada = fresh("cookie"), fresh("ada")
        visitor = {"anonymous_id": cookie}
        second.facts(fact("whitepaper_downloaded", visitor))  # from now on it takes the visitor for unknown
        server.facts(fact("identify", {"anonymous_id": cookie, "user_id": ada}))
        paper = fact("whitepaper_downloaded", visitor)
        server.facts(paper, wait=False)
        second.facts(paper, wait=False)
        assert server.contact(ada)["scores"]["lead"] == 30
        # And the other way round: taken by the one that does not know, then sent again to the one that does.
        paper = fact("whitepaper_downloaded", visitor)
        second.facts(paper, wait=False)
        assert server.facts(paper, wait=False)["duplicates"] == 1
        assert server.contact(ada)["scores"]["lead"] == 45


def test_waiting_answers_wherever_the_fact_is_decided(server: Server, second: Server) -> None:
    names = [fresh("ada") for _ in range(20)]  # in many partitions, shared by the workers of both
    for name in names:
        for each in (server, second):
            (decision,) = each.facts(fact("whitepaper_downloaded", name))["decisions"]
            assert decision["contact"] == name
    assert [second.contact(name)["scores"]["lead"] for name in names] == [30] * 20


def test_waiting_for_a_forwarded_fact(server: Server, second: Server) -> None:
    cookie, ada = fresh("cookie"), fresh("ada")
    second.facts(fact("whitepaper_downloaded", {"anonymous_id": cookie}))
    server.facts(fact("identify", {"anonymous_id": cookie, "user_id": ada}))
    server.drained()
    (decision,) = second.facts(fact("whitepaper_downloaded", {"anonymous_id": cookie}))["decisions"]
    assert (decision["contact"], decision["scores"]["lead"]) == (ada, 30)
