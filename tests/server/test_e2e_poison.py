"""Facts that are valid and yet make something go wrong further in: the others go on, and the reason is on record."""

from __future__ import annotations

from serverkit import Server, fact, fresh


def test_numbers_too_large_for_a_score_stop_nothing(server: Server) -> None:
    eve, ada = fresh("eve"), fresh("ada")
    for n, total in enumerate((1e20, -1e20, 1e308, 1e308)):
        server.facts(fact("order_completed", eve, order_id=str(n), total=total))
    server.facts(fact("order_completed", ada, order_id="1", total=10))
    server.drained()
    assert server.contact(ada)["scores"] == {"spend": 10, "orders": 1}
    assert server.contact(eve)["scores"] == {"orders": 4}
    refused = [
        effect["reason"]
        for moment in server.timeline(eve)
        for firing in moment["firings"]
        for effect in firing["effects"]
        if effect["name"] == "spend"
    ]
    assert refused == ["value.too_large"] * 4
