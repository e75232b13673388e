"""The check of a source that others call catches each way to break the contract, and names it."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from typing import Any

import pytest

from overture.plugin import Answer, Incoming, Posted, Refuse
from overture.testing import KeyedCaller, SignedCaller, check_facts, check_source

SECRET = "s3cret-of-this-test"


def sign(body: bytes, secret: str) -> dict[str, str]:
    return {"X-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


CALLER = SignedCaller(
    bodies=[json.dumps([{"id": n, "who": f"c{n}"}, {"id": n + 1, "who": "d"}]).encode() for n in (1, 3)],
    secret=SECRET,
    sign=sign,
)


class Good:
    """A sound source; each of the others breaks one rule."""

    async def parse(self, request: Incoming) -> Any:
        await asyncio.sleep(0)
        self.prove(request)
        try:
            rows = json.loads(request.inflated)
            facts = [self.fact(request, row) for row in rows]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Refuse("good.body", "That is no list of rows.") from None
        return Posted(facts=facts)

    def prove(self, request: Incoming) -> None:
        right = sign(request.body, SECRET)["X-Signature"].encode()
        if not hmac.compare_digest(request.headers.get("x-signature", "").encode(), right):
            raise Refuse("good.signature", "The signature is not that of the body.", 401)

    def fact(self, request: Incoming, row: Any) -> dict[str, Any]:
        return {"id": f"good:{row['id']}", "type": "seen", "contact": {"user_id": row["who"]}}

    async def close(self) -> None:
        pass


class ChecksNothing(Good):
    def prove(self, request: Incoming) -> None:
        pass


class RaisesAnything(Good):
    def prove(self, request: Incoming) -> None:
        if request.headers["x-signature"] != sign(request.body, SECRET)["X-Signature"]:
            raise Refuse("x", "No.", 401)


class AnswersWhereItMustRefuse(Good):
    async def parse(self, request: Incoming) -> Any:
        try:
            return await super().parse(request)
        except Refuse:
            return Answer()


class CannotReadEverything(Good):
    async def parse(self, request: Incoming) -> Any:
        self.prove(request)
        return Posted(facts=[self.fact(request, row) for row in json.loads(request.body)])


class NewIdsEachTime(Good):
    def fact(self, request: Incoming, row: Any) -> dict[str, Any]:
        return {**super().fact(request, row), "id": f"{request.at}:{row['id']}"}


class OneIdForAll(Good):
    def fact(self, request: Incoming, row: Any) -> dict[str, Any]:
        return {**super().fact(request, row), "id": "one"}


class OneIdForAllRequests(Good):
    def fact(self, request: Incoming, row: Any) -> dict[str, Any]:
        return {**super().fact(request, row), "id": f"good:{row['id'] % 2}"}


class NoIds(Good):
    def fact(self, request: Incoming, row: Any) -> dict[str, Any]:
        return {"type": "seen", "contact": "ada"}


class BadFacts(Good):
    def fact(self, request: Incoming, row: Any) -> dict[str, Any]:
        return {**super().fact(request, row), "occurred_at": "yesterday"}


class Status(Good):
    def prove(self, request: Incoming) -> None:
        try:
            super().prove(request)
        except Refuse:
            raise Refuse("x", "No.", 500) from None


class Malformed(Good):
    async def parse(self, request: Incoming) -> Any:
        posted = await super().parse(request)
        return Posted(facts=posted.facts, answer=Answer(status=99))


class WrongType(Good):
    async def parse(self, request: Incoming) -> Any:
        return (await super().parse(request)).facts


class Blocks(Good):
    def prove(self, request: Incoming) -> None:
        time.sleep(30)


class ShowsItsSecret(Good):
    def __repr__(self) -> str:
        return f"ShowsItsSecret({SECRET})"


class LogsItsSecret(Good):
    def prove(self, request: Incoming) -> None:
        logging.getLogger("mine").debug("comparing with %s", SECRET)
        super().prove(request)


class ClosesOnce(Good):
    closed = False

    async def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed twice")
        self.closed = True


class IgnoresCancellation(Good):
    async def parse(self, request: Incoming) -> Any:
        asked = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, asked.set_result, None)
        while not asked.done():
            try:
                await asyncio.shield(asked)
            except asyncio.CancelledError:
                await asyncio.sleep(20)
        return await super().parse(request)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (ChecksNothing, "a request that is not the service's must raise Refuse"),
        (RaisesAnything, "must answer or raise Refuse, and raised KeyError"),
        (AnswersWhereItMustRefuse, "must raise Refuse"),
        (CannotReadEverything, "must answer or raise Refuse, and raised JSONDecodeError"),
        (NewIdsEachTime, "the same request again must give the same fact ids"),
        (OneIdForAll, "each fact of a request has an id of its own"),
        (OneIdForAllRequests, "two different requests have the fact id"),
        (NoIds, "each fact has an id"),
        (BadFacts, r"the server refuses a fact: .* \[fact.time"),
        (Status, "the status of a Refuse is from 400 to 499, not 500"),
        (Malformed, "malformed Posted: status 99"),
        (WrongType, "answers Posted or Answer, not"),
        (Blocks, r"must not block: It kept the process to itself for 250 ms, in Blocks.prove"),
        (ShowsItsSecret, "the secret shows in ShowsItsSecret"),
        (LogsItsSecret, "the secret shows in the log"),
        (IgnoresCancellation, "must end when it is cancelled"),
    ],
)
async def test_a_broken_source_is_caught(source: type[Good], sentence: str) -> None:
    with pytest.raises(AssertionError, match=sentence):
        await check_source(source, CALLER, secret=SECRET)


async def test_one_that_cannot_be_closed_twice_says_so_itself() -> None:
    with pytest.raises(RuntimeError, match="closed twice"):
        await check_source(ClosesOnce, CALLER)


async def test_a_sound_source_passes() -> None:
    await check_source(Good, CALLER, secret=SECRET)


async def test_one_whose_callers_have_keys_need_not_tell_them_apart() -> None:
    await check_source(ChecksNothing, KeyedCaller(bodies=CALLER.bodies))


def test_facts_alone() -> None:
    check_facts([{"id": "1", "type": "x", "contact": "ada"}])
    reported = {"id": "1", "type": "message.delivered", "contact": {"message": "m"}, "properties": {}}
    check_facts([reported], own=True)
    with pytest.raises(AssertionError, match="the server refuses a fact"):
        check_facts([reported])
    with pytest.raises(AssertionError, match="a fact is JSON"):
        check_facts([{"id": "1", "type": "\ud800", "contact": "ada"}])
