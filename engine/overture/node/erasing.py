"""Erasing contacts, from the question to the proof: step by step, each of which can be done again after a kill."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from overture.backtest import erasing as backtests
from overture.model import Contact, OvertureError, StoreUnavailable, clock
from overture.model.ids import partition_of
from overture.state import contacts, keys, traces
from overture.state.embedded.appendonly import DIRECTORY
from overture.state.erasures import Erasure, Erasures, Stage
from overture.state.linked import linked
from overture.state.log import Entry, Log, dedupe_key
from overture.state.outbox import Outbox
from overture.state.purge import Purged, ordered, suppressing
from overture.state.rewriting import write_anew
from overture.state.scrubbing import Scrub
from overture.state.wire import Wire

log = logging.getLogger("overture.erasing")

PAUSE = 0.05  # seconds between looks at an erasure that waits for others
IDLE = 0.5  # seconds between looks whether another process was asked for one
_ADDRESSES = ("email", "phone", "push_token")  # traits in which there is one
_purged = msgspec.msgpack.Decoder(Purged).decode
_scrub = msgspec.msgpack.Decoder(Scrub).decode
Step = Callable[[str, Erasure], Awaitable[bool]]


def begun(subject: str, by: str) -> Erasure:
    """One that is asked for now."""
    now = clock.now()
    return Erasure(f"er-{now:011x}{secrets.token_hex(6)}", subject, by, now, "finding")


class Eraser:
    """Carries erasures forward, in one process at a time: ``drives`` says whether it is this one's turn. Should two be
    at it all the same, nothing is done twice: each move is made once, and what leads to it can be repeated.
    """

    def __init__(self, wire: Wire, facts: Log, erasures: Erasures, data_dir: Path, drives: Callable[[], bool]) -> None:
        self._wire = wire
        self._log = facts
        self._erasures = erasures
        self._outbox = Outbox(wire, facts.partitions)
        self._backtests = data_dir / "backtests"
        self._files = data_dir / DIRECTORY
        self._drives = drives
        self._asked = asyncio.Event()
        self._ordered: set[str] = set()  # erasures whose last contact was found alone
        self._failed: dict[str, str] = {}  # erasure → why it went no further when last tried

    def wake(self) -> None:
        """One was asked for here."""
        self._asked.set()

    async def run(self) -> None:
        """For ever."""
        while True:
            pause = IDLE
            try:
                if self._drives() and (under_way := await self._erasures.under_way()):
                    await self._round(under_way)
                    pause = IDLE if self._failed else PAUSE
            except (OvertureError, OSError, TimeoutError) as error:
                log.warning("Erasing goes on later: %s", error)
            except Exception:
                log.exception("Erasing goes on later")
            self._asked.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._asked.wait()
            except TimeoutError:
                pass

    async def _round(self, under_way: dict[str, Erasure]) -> None:
        """Nothing begins to leave to any of them, whatever the others wait for. Then one after the other up to where
        all that is kept by a contact's name is gone; the file for all at once.
        """
        ids = {erasure.id for erasure in under_way.values()}
        self._failed = {id: why for id, why in self._failed.items() if id in ids}
        asked = [(contact, erasure) for contact, erasure in under_way.items() if erasure.stage == "finding"]
        moved = [await self._tried(self._find, contact, erasure) for contact, erasure in asked]
        if any(moved):  # whom they are about is needed below
            return
        await self._advance(under_way)
        for contact, erasure in under_way.items():
            if erasure.stage == "traces":
                others = {name for e in under_way.values() if e is not erasure for name in e.names}
                await self._tried(partial(self._forget_traces, others=others), contact, erasure)
        written = {id: erasure for id, erasure in under_way.items() if erasure.stage == "file"}
        if written and (file := await write_anew(self._wire, self._files)):
            for id, erasure in written.items():
                await self._tried(partial(self._finish, file=file), id, erasure)

    async def _advance(self, under_way: dict[str, Erasure]) -> None:
        """The one whose turn it is; where there is none, the first to which no hand-off is under way any more. One that
        fails lets those go on that are about others.
        """
        steps = {"erasing": self._erase, "record": self._wait_for_record, "leaving": self._let_go}
        failed = set[str]()
        for contact, erasure in sorted(under_way.items(), key=lambda each: each[1].stage == "leaving"):
            step = steps.get(erasure.stage)
            if step is not None and failed.isdisjoint(erasure.names):
                its_turn = await self._tried(step, contact, erasure)
                if its_turn:
                    return
                if its_turn is None:
                    failed.update(erasure.names)

    async def _tried(self, step: Step, field: str, erasure: Erasure) -> bool | None:
        """What a step of one erasure answers; None where it failed, which is told once for each reason."""
        try:
            answer = await step(field, erasure)
        except StoreUnavailable:
            raise
        except Exception as error:
            if self._failed.get(erasure.id) != repr(error):
                self._failed[erasure.id] = repr(error)
                log.exception("Erasure %s goes on later", erasure.id)
            return None
        self._failed.pop(erasure.id, None)
        return answer

    # --- one stage each ----------------------------------------------------------------------------------------------

    async def _find(self, contact: str, erasure: Erasure) -> bool:
        names = await linked(self._wire, contact)
        await self._leave(contact, erasure, names, words=sorted(await self._words_of(names)))
        return True

    async def _words_of(self, names: Collection[str]) -> set[str]:
        words = set[str]()
        for name in names:
            state = (await contacts.load(self._wire, self._p(name), [name]))[name]
            words |= _words(state)
        return words

    async def _leave(self, contact: str, erasure: Erasure, names: list[str], **more: Any) -> None:
        """From here on no hand-off to any of these begins."""
        for name in names:
            await self._wire.call("SADD", keys.leaving(self._p(name)), name)
        await self._to(contact, erasure, "leaving", names=list(dict.fromkeys([*names, *erasure.names])), **more)

    async def _let_go(self, contact: str, erasure: Erasure) -> bool:
        """Hand-offs under way end, and are told in the log before the contact is erased there. False before that."""
        for p in {self._p(name) for name in erasure.names}:
            ids = await self._wire.call("ZRANGE", keys.messages(p, "sending"), 0, -1)
            found = await self._outbox.read(p, [id.decode() for id in ids])
            if any(delivery.message.contact in erasure.names for delivery in found):
                return False
        words = await self._words_of(erasure.names)  # also of what was decided while it waited
        await self._to(contact, erasure, "erasing", words=sorted({*erasure.words, *words}))
        return True

    async def _erase(self, contact: str, erasure: Erasure) -> bool:
        """Those that became part of it first: what of them is on its way to it is there before it is erased itself."""
        purged: dict[str, Purged] = {}
        for name in erasure.names:
            blob = await self._wire.call("HGET", keys.purged(self._p(name)), name)
            if blob is None or (done := _purged(blob)).erasure != erasure.id:
                if name == contact and erasure.id not in self._ordered:
                    if not await self._is_alone(contact, erasure):
                        return True
                    self._ordered.add(erasure.id)
                fact = ordered(name, erasure.id, erasure.again, clock.now())
                await self._log.append([Entry(fact, dedupe_key(name, fact.id))])
                return True
            purged[name] = done
        for name, done in purged.items():
            for command in suppressing(done.suppressed):
                await self._wire.call(*command)
            p = self._p(name)
            told = await self._wire.call("XINFO", "STREAM", keys.log(p))
            last = dict(zip(told[::2], told[1::2], strict=True))[b"last-generated-id"].decode()
            blob = await self._wire.call("HGET", keys.scrubs(p), name)
            there = None if blob is None else _scrub(blob)
            if there is not None and there.erasure != erasure.id and not there.done:
                return True  # left by another one, which the archivist carries out first
            if there is None or there.erasure != erasure.id:
                order = Scrub(erasure.id, done.entry, done.position, last)
                await self._wire.call("HSET", keys.scrubs(p), name, msgspec.msgpack.encode(order))
        self._ordered.discard(erasure.id)
        await self._to(contact, erasure, "record")
        return True

    async def _is_alone(self, contact: str, erasure: Erasure) -> bool:
        """Whether nothing is on its way to the contact from others that are part of it."""
        for p in {self._p(name) for name in erasure.names}:
            blobs = await self._wire.call("LRANGE", keys.forwards(p), 0, -1)
            if any(contacts.unpack_fact(blob).contact in erasure.names for blob in blobs):
                return False
        found = await linked(self._wire, contact)
        if not (more := [name for name in found if name != contact]):
            return True
        counts = dict(erasure.counts)
        again = [name for name in more if name in erasure.names]  # gone already, and there anew
        for name in again:
            blob = await self._wire.call("HGET", keys.purged(self._p(name)), name)
            if blob is not None:
                gone = _purged(blob)
                for command in suppressing(gone.suppressed):
                    await self._wire.call(*command)
                _count(counts, gone)
        await self._leave(contact, erasure, more, again=erasure.again + 1, counts=counts)
        for name in again:
            await self._wire.call("HDEL", keys.purged(self._p(name)), name)
        return False

    async def _wait_for_record(self, contact: str, erasure: Erasure) -> bool:
        counts = {**erasure.counts, "contacts": len(erasure.names)}
        for name in erasure.names:
            p = self._p(name)
            purged, scrub = await asyncio.gather(
                self._wire.call("HGET", keys.purged(p), name), self._wire.call("HGET", keys.scrubs(p), name)
            )
            if scrub is None or purged is None or (done := _scrub(scrub)).erasure != erasure.id or not done.done:
                return True
            counts["facts"] = counts.get("facts", 0) + done.facts
            _count(counts, _purged(purged))
        await self._to(contact, erasure, "traces", counts=counts, at=clock.now())
        return True

    async def _forget_traces(self, contact: str, erasure: Erasure, others: Collection[str]) -> bool:
        """``others``: whom other erasures are about."""
        for name in erasure.names:
            if name not in others:  # should two have been at it, it may have been held once more
                await self._wire.call("SREM", keys.leaving(self._p(name)), name)
            for key in (keys.purged(self._p(name)), keys.scrubs(self._p(name))):
                blob = await self._wire.call("HGET", key, name)
                if blob is not None and msgspec.msgpack.decode(blob)[0] == erasure.id:
                    await self._wire.call("HDEL", key, name)
        await traces.forget(self._wire, self._log.partitions, erasure.names, erasure.words)
        over = await asyncio.to_thread(backtests.forget, self._backtests, erasure.names, erasure.words, erasure.at)
        if over:
            await self._to(contact, erasure, "file", names=[], words=[])
        return over

    async def _finish(self, field: str, erasure: Erasure, file: str) -> bool:
        return await self._erasures.finish(field, erasure, clock.now(), file)

    async def _to(self, contact: str, erasure: Erasure, stage: Stage, **more: Any) -> None:
        after = msgspec.structs.replace(erasure, stage=stage, **more)
        if await self._erasures.go_on(contact, erasure, after):
            self._asked.set()

    def _p(self, contact: str) -> int:
        return partition_of(contact, self._log.partitions)


def _count(counts: dict[str, int], gone: Purged) -> None:
    more = {"messages": gone.messages, "withdrawn": gone.withdrawn, "consents": gone.consents}
    for what, n in {**more, "suppressed": len(gone.suppressed)}.items():
        counts[what] = counts.get(what, 0) + n


def _words(contact: Contact) -> set[str]:
    """What names somebody in a text."""
    found = {contact.id, *(address.partition(":")[2] for address in contact.suppressed)}
    for kind, value in contact.ids.items():
        many: Any = value.values() if kind == "external" else value
        found |= {many} if isinstance(many, str) else {str(each) for each in many}
    found |= {value for name in _ADDRESSES if isinstance(value := contact.traits.get(name), str)}
    return {word for word in found if word}
