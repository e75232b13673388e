"""Workers, each in a thread with an event loop of its own, and a bed that feeds them and keeps the books."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import redis

from overture.model import Fact, StoreUnavailable, Trace, clock
from overture.model.ids import partition_of
from overture.rules import load
from overture.state import keys
from overture.state.archive import entries, entry_order
from overture.state.contacts import Contacts
from overture.state.identity import Identity
from overture.state.lease import Leases
from overture.state.log import Entry, Log, Taken, body_digest, dedupe_key, unpack
from overture.state.registry import Activation, Registry
from overture.state.wire import Wire
from overture.worker.loop import Worker
from overture.worker.plans import Plans
from overture.worker.replies import Replies

PARTITIONS = 4
LEASE = 0.3
PATIENCE = 30.0

DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: count
requires:
  channels: [email]
facts:
  counted: {n: number}
  asked: {n: number}
scores:
  sum: {}
  entered: {}
  left: {}
rules:
  count:
    when: fact.type == "counted" or fact.type == "asked"
    then:
      - score: {name: sum, add: = fact.n}
  ask:
    when: fact.type == "asked"
    then:
      - send: {channel: email, template: hello, purpose: transactional}
segments:
  some:
    when: contact.scores.sum >= 1
templates:
  hello:
    subject: Hello
    text: Hello
"""


class Member:
    """One worker. What happens to it is what happens to a process: it stalls, it is killed, it is told to stop."""

    names = itertools.count(1)

    def __init__(self, url: str, archive: Path) -> None:
        self.name = f"member-{next(self.names)}"
        self._url = url
        self._archive = archive
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), name=self.name)
        self._thread.start()
        assert self._started.wait(PATIENCE)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._wires = [await Wire.connect(self._url, 2.0), await Wire.connect(self._url, 2.0)]
        log, registry = Log(self._wires[0], PARTITIONS), Registry(self._wires[0], PARTITIONS)
        leases = Leases(self._wires[0], "worker", self.name, PARTITIONS, LEASE)
        plans, replies = Plans(registry, "durable"), Replies(self._url, self.name)
        self.worker = Worker(*self._wires, leases, plans, log, replies, self._archive)
        self._task = asyncio.create_task(self.worker.run(self._stop))
        self._started.set()
        with suppress(asyncio.CancelledError):
            await self._task
        for wire in self._wires:
            await wire.close()

    def stall(self, seconds: float) -> None:
        """Nothing moves in it for a while, as after SIGSTOP; then it goes on as if nothing had been."""
        self._loop.call_soon_threadsafe(time.sleep, seconds)

    def cancel(self) -> None:
        """Its task is cancelled wherever it is."""
        self._loop.call_soon_threadsafe(self._task.cancel)
        self.join()

    def kill(self) -> None:
        """It is cut off from the store at once and never heard of again; its leases stay taken until they expire."""

        async def die() -> None:
            for wire in self._wires:
                await wire.close()
            self._task.cancel()

        asyncio.run_coroutine_threadsafe(die(), self._loop)
        self.join()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self.join()

    def join(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


class Bed:
    """A store, the members that work on it, and what was fed to them."""

    def __init__(self, url: str, directory: Path, seed: int = 0, more: str = "") -> None:
        """``more``: further segments of `DOCUMENT`."""
        self.url = url
        self.document = DOCUMENT.replace("templates:", f"{more}templates:")
        self.now: Callable[[], int] = lambda: 0  # when facts occur and are accepted
        self.archive = directory / "archive"
        self.dice = random.Random(seed)
        self.store = redis.Redis.from_url(url)
        self.members: list[Member] = []
        self.fed: dict[str, list[Fact]] = {}
        self.links: dict[str, str] = {}
        self._numbers = itertools.count()

    async def __aenter__(self) -> Bed:
        self.wire = await Wire.connect(self.url, 2.0)
        self.log = Log(self.wire, PARTITIONS)
        self.identity = Identity(self.wire, PARTITIONS, Replies(self.url, "bed").expect)
        self.registry = Registry(self.wire, PARTITIONS)
        self.contacts = Contacts(self.wire, PARTITIONS)
        ruleset = load(self.document)
        await self.registry.put("count", ruleset.revision, self.document, 0)
        await self.registry.activate(0, Activation({"count": ruleset.revision}), 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        for member in self.members:
            await asyncio.to_thread(member.stop)
        await self.wire.close()
        self.store.close()

    async def join(self) -> Member:
        member = await asyncio.to_thread(Member, self.url, self.archive)
        self.members.append(member)
        return member

    async def leave(self, member: Member, how: str) -> None:
        self.members.remove(member)
        await asyncio.to_thread(getattr(member, how))

    async def feed(self, *contacts: str, type: str = "counted", **properties: Any) -> None:
        """One new fact for each contact, in one request; sent again until it is answered, as an app does."""
        numbers = [next(self._numbers) for _ in contacts]
        drafts = [
            Fact(f"f{n:05d}", type, c, self.now(), self.now(), properties or {"n": 1}, ids=_ids(c))
            for n, c in zip(numbers, contacts, strict=True)
        ]
        while True:
            try:
                entries = [await self._entry(fact) for fact in drafts]
                taken = await self.log.append(entries)
                break
            except StoreUnavailable:
                await asyncio.sleep(0.02)
        assert Taken.CONFLICT not in taken
        for fact in drafts:
            self.fed.setdefault(fact.contact, []).append(fact)

    async def _entry(self, fact: Fact) -> Entry:
        contact, elsewhere = await self.identity.resolve(fact.ids, 0)
        body = body_digest(fact.type, fact.properties)
        addressed = msgspec.structs.replace(fact, contact=contact)
        return Entry(addressed, dedupe_key(contact, fact.id), body, elsewhere)

    async def link(self, anonymous: str, user: str) -> None:
        """The visitor becomes known."""
        self.links[anonymous] = user
        while True:
            try:
                await self.identity.resolve({"user_id": user, **_ids(anonymous)}, 0)
                return
            except StoreUnavailable:
                await asyncio.sleep(0.02)

    def steal(self, p: int) -> None:
        """Somebody takes a lease who was not seen before, and vanishes with it."""
        owner = keys.owner(p, "worker")
        self.store.hincrby(owner, "epoch", 1)
        self.store.hset(owner, mapping={"worker": "thief", "until": clock.now() + 150})

    def cut(self) -> None:
        """Every connection to the store breaks off."""
        self.store.execute_command("CLIENT", "KILL", "TYPE", "normal")

    def cut_one(self) -> None:
        """Any one connection breaks off."""
        clients = [c["id"] for c in self.store.client_list() if c["cmd"] != "client|list"]
        if clients:
            self.store.execute_command("CLIENT", "KILL", "ID", self.dice.choice(clients))

    def begun(self, contact: str, epoch: str) -> None:
        """A worker under this epoch has begun to decide the next fact of the contact's partition, and vanished."""
        self.store.hset(keys.tries(partition_of(contact, PARTITIONS)), epoch, 1)

    # --- the books ----------------------------------------------------------------------------------------------

    def lag(self) -> int:
        rows = [self.store.hmget(keys.counters(p), "accepted", "decided") for p in range(PARTITIONS)]
        waiting = sum(self.store.llen(keys.forwards(p)) for p in range(PARTITIONS))
        return waiting + sum(int(accepted or 0) - int(decided or 0) for accepted, decided in rows)

    async def drained(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.lag():
            assert time.monotonic() < deadline, f"{self.lag()} facts are not decided"
            await asyncio.sleep(0.02)

    def dead(self) -> list[tuple[str, str]]:
        """(fact id, reason) of all dead letters."""
        rows = [row for p in range(PARTITIONS) for _, row in self.store.xrange(keys.dead(p))]
        return [(_fact_id(row[b"fact"]), row[b"reason"].decode()) for row in rows]

    def messages(self) -> list[str]:
        """The fact of each message in the outbox."""
        ids = [id.decode() for p in range(PARTITIONS) for id in self.store.zrange(keys.messages(p, "queued"), 0, -1)]
        return sorted(id.partition(":")[0] for id in ids)

    async def moments(self, contact: str) -> list[Trace]:
        """Everything decided for a contact, oldest first."""
        return (await self.contacts.timeline(contact, None, 10_000))[::-1]

    def kept(self, p: int) -> list[str]:
        """The facts of one partition, from the archive and then the log, each entry once; what apps posted only."""
        rows = [(entry_order(id), unpack([b"f", blob])) for id, blob in entries(self.archive, p)]
        last = rows[-1][0] if rows else (0, 0)
        tail = [
            (entry_order(id.decode()), unpack(next(iter(row.items())))) for id, row in self.store.xrange(keys.log(p))
        ]
        rows += [(place, facts) for place, facts in tail if place > last]
        return [fact.id for _, facts in rows for fact in facts if not fact.type.startswith("$") and not fact.cause]

    async def check(self) -> None:
        """Nothing lost, nothing doubled, everything in order."""
        await self.drained()
        dead = {id for id, _ in self.dead()}
        by_contact: dict[str, list[Fact]] = {}
        for contact, facts in self.fed.items():
            by_contact.setdefault(self.links.get(contact, contact), []).extend(facts)
        for contact, facts in by_contact.items():
            state = await self.contacts.get(contact)
            assert state is not None, contact
            alive = [f for f in facts if f.id not in dead]
            decided = [m.fact.id for m in await self.moments(contact) if m.fact.id.startswith("f")]
            assert sorted(decided) == sorted(f.id for f in alive), contact
            assert state.scores.get("sum", 0) == sum(f.properties.get("n", 0) for f in alive), contact
            assert ("some" in state.segments) == bool(alive)
            for origin in {f.contact for f in facts}:  # what was posted to one contact keeps its order
                own = [f.id for f in alive if f.contact == origin]
                if contact == origin and len(by_contact[contact]) == len(own):
                    assert [id for id in decided if id in set(own)] == own
            p = partition_of(contact, PARTITIONS)
            assert self.store.zscore(keys.score(p, "sum"), contact) == -state.scores.get("sum", 0)
        asked = sorted(f.id for facts in self.fed.values() for f in facts if f.type == "asked" and f.id not in dead)
        assert self.messages() == asked
        every = [f for facts in self.fed.values() for f in facts]
        kept = [id for p in range(PARTITIONS) for id in self.kept(p)]
        assert sorted(kept) == sorted(f.id for f in every)
        for p in range(PARTITIONS):
            order = self.kept(p)
            for contact, facts in self.fed.items():
                if contact not in self.links and partition_of(contact, PARTITIONS) == p:
                    assert [id for id in order if id in {f.id for f in facts}] == [f.id for f in facts]


def _ids(contact: str) -> dict[str, Any]:
    kind, _, value = contact.partition(":")
    return {"anonymous_id": value} if value else {"user_id": kind}


def _fact_id(blob: bytes) -> str:
    return unpack([b"f", b"\x91" + blob])[0].id
