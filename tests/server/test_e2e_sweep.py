"""A deploy reaches the contacts who are already there, with no fact of theirs; a live server, killed on the way too."""

from __future__ import annotations

import json
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import redis
from serverkit import Mailbox, Server, eventually, fact, fresh, overture

from overture.model.ids import partition_of
from overture.state import keys

HEAD = "apiVersion: overture/v1\nkind: Ruleset\nname: {name}\n"
BOUGHT = "facts: {{bought: {{total: number}}}}\n"


def swept(server: Server, version: int = 0) -> Any:
    """The progress of the sweep, once it is over and its facts are decided."""

    def over() -> Any:
        sweep = server.ready().get("sweep", {})
        return sweep.get("over") and sweep["version"] >= version and sweep

    found = eventually(over, "every contact is brought up to date")
    server.drained()
    return found


def members(server: Server, segment: str) -> set[str]:
    return {row["contact"] for row in server.pages(f"/v1/segments/{segment}/contacts?limit=200")}


def base(server: Server, name: str, more: str = "") -> None:
    server.deploy(name, HEAD.format(name=name) + BOUGHT.format() + more)


def test_contacts_who_say_nothing_come_into_new_segments(server: Server) -> None:
    name, rich = fresh("rs"), fresh("rich")
    base(
        server,
        name,
        "scores: {spent: {}}\n"
        'rules: {b: {when: fact.type == "bought", then: [{score: {name: spent, add: = fact.total}}]}}\n',
    )
    people = [fresh("sweep-") for _ in range(40)]
    server.facts(*(fact("bought", id, total=n) for n, id in enumerate(people)))
    segment = f"segments: {{{rich}: {{when: contact.scores.spent >= 20}}}}\n"
    moments = len(server.timeline(people[30]))
    base(server, name, "scores: {spent: {}}\n" + segment)
    progress = swept(server)
    assert progress["done"] == progress["of"] >= 40
    assert members(server, rich) == set(people[20:])
    (told,) = server.timeline(people[30])[moments:]
    assert told["fact"]["type"] == "$program"
    assert [(e["kind"], e["name"], e["key"]) for e in told["effects"]] == [("segment", rich, "deploy")]
    # Whom it does not concern, it leaves no trace with.
    assert all(m["fact"]["type"] != "$program" for m in server.timeline(people[3]))


@pytest.mark.parametrize("mode", ["silent", "apply"])
def test_what_entering_sets_off_is_done_where_the_revision_says_so(server: Server, mailbox: Mailbox, mode: str) -> None:
    name, segment, ada = fresh("rs"), fresh("seg"), fresh("ada")
    address = f"{ada}@example.com"
    base(server, name)
    server.facts(
        fact("identify", {"user_id": ada, "email": address}, mode=mode), fact("bought", {"user_id": ada}, total=5)
    )
    document = f"""requires: {{channels: [email]}}
on_activate: {mode}
traits: {{mode: string?}}
segments:
  {segment}:
    when: contact.mode == "{mode}" and count("bought") >= 1
    on_enter: [{{send: {{channel: email, template: hello, purpose: transactional}}}}]
templates: {{hello: {{subject: Hello, text: Hello}}}}
"""
    base(server, name, document)
    swept(server)
    assert ada in members(server, segment)
    base(server, name, document + "consts: {again: 1}\n")
    swept(server)
    server.facts(fact("bought", {"user_id": ada}, total=5))
    server.settled()
    assert len(mailbox.to(address)) == (1 if mode == "apply" else 0)


def test_new_counts_are_made_from_the_record(server: Server) -> None:
    """Also of contacts that were merged, before the deploy and of what comes on the way; windows as well."""
    name, dice = fresh("rs"), random.Random(11)
    base(server, name)
    people = [fresh("count-") for _ in range(30)]
    n: Counter[str] = Counter()
    total: Counter[str] = Counter()

    def buy(id: str, contact: Any = None) -> Any:
        value = dice.randint(1, 9)
        n[id] += 1
        total[id] += value
        return fact("bought", contact or {"user_id": id}, total=value)

    server.facts(*(buy(id) for id in people for _ in range(dice.randint(0, 5))))
    for id in people[:5]:  # known by an anonymous id first
        anonymous = fresh("anon-")
        server.facts(*(buy(id, {"anonymous_id": anonymous}) for _ in range(3)))
        server.facts(fact("identify", {"user_id": id, "anonymous_id": anonymous}))
    server.drained()
    mirror = """traits: {n: "int?", total: "number?", week: "int?"}
facts: {asked: {}}
rules:
  tell:
    when: fact.type == "asked"
    then: [{set: {n: '= count("bought")', total: '= total("bought", "total")', week: '= count("bought", within="7d")'}}]
"""
    server.deploy(
        name + "b",
        HEAD.format(name=name + "b")
        + "facts: {bought: {total: number}, asked: {}}\n"
        + mirror.replace("facts: {asked: {}}\n", ""),
    )
    server.facts(*(buy(id) for id in people[::3]))  # may come before or after the sweep
    swept(server)
    server.facts(*(fact("asked", {"user_id": id}) for id in people))
    for id in people:
        traits = server.contact(f"external:user_id:{id}" if server.find(id) is None else id)["traits"]
        assert (traits["n"], traits["total"], traits["week"]) == (n[id], total[id], n[id]), id


def test_a_killed_server_goes_on_with_the_sweep_and_a_second_deploy_takes_over(tmp_path: Path) -> None:
    with Server(tmp_path / "server", RULESETS="", PARTITIONS="2") as server:
        base(server, "shop")
        people = [f"p{n}" for n in range(600)]
        for at in range(0, 600, 300):
            server.facts(*(fact("bought", id, total=1) for id in people[at : at + 300]), wait=False)
        server.drained()
        for round in range(3):
            base(
                server, "shop", f'segments: {{all{round}: {{when: \'count("bought", within="{round + 1}d") >= 1\'}}}}\n'
            )
            assert server.process is not None
            eventually(lambda: server.ready().get("sweep", {}).get("done", 0) > 0, "the sweep has begun")
            server.stop(signal.SIGKILL)
            server.start()
        progress = swept(server)
        assert progress["done"] == progress["of"] == 600
        assert members(server, "all2") == set(people)
        # Once more on the way: the series, made by kills and restarts, must be those of the record.
        base(server, "shop", 'segments: {twice: {when: count("bought") >= 2}, once: {when: count("bought") == 1}}\n')
        swept(server)
        assert members(server, "twice") == set()
        assert members(server, "once") == set(people)


def test_deploy_waits_where_it_is_asked_to(server: Server, tmp_path: Path) -> None:
    name, segment = fresh("rs"), fresh("seg")
    base(server, name)
    server.facts(fact("bought", fresh("w"), total=1))
    file = tmp_path / f"{name}.yaml"
    file.write_text(
        HEAD.format(name=name) + BOUGHT.format() + f'segments: {{{segment}: {{when: count("bought") > 0}}}}\n'
    )
    environ = {"OVERTURE_ADMIN_KEY": "admin-key-of-this-test"}
    done = overture("deploy", str(file), "--wait", "--url", server.url, environ=environ, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "contacts are up to date" in done.stdout
    server.drained()
    assert members(server, segment)


def test_contacts_of_a_store_that_is_older_than_the_list_of_them_are_reached(tmp_path: Path) -> None:
    name = "old"
    spent = "scores: {spent: {}}\n"
    rule = 'rules: {b: {when: fact.type == "bought", then: [{score: {name: spent, add: = fact.total}}]}}\n'
    people = [f"c:{n}" for n in range(30)] + ["}:c:odd", "ä"]
    with Server(tmp_path, RULESETS="", PARTITIONS="4") as server:
        base(server, name, spent + rule)
        server.facts(*(fact("bought", id, total=20) for id in people))
        swept(server)
        with redis.Redis.from_url(json.loads((server.data / "store.json").read_text())["url"]) as client:
            known = [key for p in range(4) if client.exists(key := keys.known(p))]
            assert sum(client.zcard(key) for key in known) == len(people)
            client.delete(*known)
            client.hdel(keys.META, "listed")
        server.stop()
        server.start()
        assert swept(server)["of"] == len(people)
        base(server, name, spent + rule + "segments: {rich: {when: contact.scores.spent >= 20}}\n")
        assert swept(server, 2)["done"] == len(people)
        assert members(server, "rich") == set(people)


def test_a_partition_that_cannot_be_swept_holds_up_no_other_and_is_tried_again(tmp_path: Path) -> None:
    name, people = "late", [f"c{n}" for n in range(24)]
    with Server(tmp_path, RULESETS="", PARTITIONS="4") as server:
        base(server, name)
        server.facts(*(fact("bought", id, total=20) for id in people))
        swept(server)
        for p in range(4):  # what somebody left in the archive is none of its files
            (server.data / "archive" / f"p{p:03d}").mkdir(parents=True, exist_ok=True)
            (server.data / "archive" / f"p{p:03d}" / "copy of it.ovz").write_bytes(b"?")
        with redis.Redis.from_url(json.loads((server.data / "store.json").read_text())["url"]) as client:
            client.set(keys.sweep(2), "nonsense")
            base(server, name, 'segments: {came: {when: count("bought") >= 1}}\n')
            reached = {id for id in people if partition_of(id, 4) != 2}
            assert 0 < len(reached) < len(people)
            eventually(lambda: members(server, "came") == reached, "the other partitions are swept")
            eventually(lambda: "Partition 2 cannot be swept" in server.said(), "the log tells")
            client.delete(keys.sweep(2))
        assert swept(server)["done"] == len(people)
        assert members(server, "came") == set(people)
