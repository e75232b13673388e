"""Services kept in memory, for the mechanics of HTTP alone; what facts do is tested through the real ones elsewhere."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET

from overture.attribution.answer import Underway
from overture.attribution.question import Question
from overture.model import Contact, Diagnostic, Draft, Fact, Overloaded, Refused, Trace
from overture.model.artefact import digest, unpack
from overture.plugin.listening import HostedPush
from overture.rules import RulesetInvalid
from overture.rules.difference import Change
from overture.trial.preview import Preview
from overture.trial.results import Coverage, Result
from overture.web import Page, Receipt, RulesetState, Services, StoredRevision
from overture.web.backtested import Backtest, BacktestProgress, BacktestQuery
from overture.web.chosen import ArmState, ChoiceState
from overture.web.clocked import ClockView
from overture.web.erased import ErasureList, ErasureView, Export
from overture.web.explained import ExplainQuery, Explanation, Samples, SamplesQuery, SampleView
from overture.web.formed import FieldView, FormInvalid, FormView, Submission, Submitted, Visitor
from overture.web.funnels import Comparison, Funnel, Group, JourneyState
from overture.web.inboxed import InboxItem, InboxPage, InboxToken
from overture.web.keyed import KeyView, NewKey, TrackingGrant
from overture.web.modelled import Deciding, ModelState, Pin
from overture.web.plugged import PluginView, RefusalView, Unwanted
from overture.web.previewed import PreviewRequest
from overture.web.scripted import ScriptView
from overture.web.shapes import ContactView
from overture.web.subscribed import ConsentEntry, LedgerCheck, Subscription

KEYS = {
    "writer-key": frozenset({"facts:write"}),
    "reader-key": frozenset({"contacts:read", "messages:read", "rulesets:read"}),
    "admin-key": frozenset({"*"}),
}
FINDING = Diagnostic(code="rule.unknown_field", message="There is no field fact.totl", line=3, column=7, hint="total?")


@dataclass(frozen=True)
class MemoryGrant:
    name: str
    scopes: frozenset[str]
    types: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    rate: float = 0


@dataclass(frozen=True)
class MemoryRevision:
    name: str
    revision: str
    new: bool
    active: bool = False
    warnings: Sequence[Diagnostic] = ()


@dataclass
class Memory:
    """Everything at once; ``fail`` is raised by the next call that reaches a service."""

    taken: dict[str, Draft] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)
    documents: dict[tuple[str, str], str] = field(default_factory=dict)
    active: dict[str, str] = field(default_factory=dict)
    fail: Exception | None = None
    is_ready: bool = True

    def services(self) -> Services:
        return Services(
            self,
            self,
            self,
            MemoryMessages(self),
            MemoryRulesets(self),
            self,
            self,
            self,
            MemoryBacktests(self),
            MemoryAttribution(self),
            self,
            forms=MemoryForms(self),
            journeys=MemoryJourneys(self),
            choices=MemoryChoices(),
            models=MemoryModels(),
            clock=MemoryClock(self),
            plugins=MemoryPlugins(),
            privacy=MemoryPrivacy(),
            trails=MemoryTrails(),
            inbox=MemoryInbox(),
            key_ring=MemoryKeys(),
            browsers=MemoryBrowsers(),
            scripts=MemoryScripts(),
            previews=MemoryPreviews(),
        )

    def _may_fail(self) -> None:
        if self.fail is not None:
            raise self.fail

    def grant(self, token: str) -> MemoryGrant | None:
        return MemoryGrant(token.removesuffix("-key"), KEYS[token]) if token in KEYS else None

    def admit(self, grant: MemoryGrant) -> None: ...

    def spend(self, grant: MemoryGrant, facts: int) -> None: ...

    async def ready(self) -> dict[str, Any]:
        return {"ready": self.is_ready}

    async def accept(self, drafts: Sequence[Draft], **how: Any) -> list[Receipt]:
        self._may_fail()
        self.calls.append(how)
        return [self._take(draft, how["wait"]) for draft in drafts]

    def _take(self, draft: Draft, wait: bool) -> Receipt:
        known = self.taken.setdefault(draft.id, draft)
        status = "accepted" if known is draft else "duplicate" if known == draft else "conflict"
        decision = {"scores": {"lead": 5}} if wait and status == "accepted" else None
        return Receipt(status, draft.id, draft.ids.get("user_id", ""), decision)

    async def find(self, id_or_alias: str) -> Contact | None:
        self._may_fail()
        if id_or_alias not in ("ada", "external:crm:a/b c", "email:ada@example.org"):
            return None
        return Contact("ada", ids={"user_id": "ada"}, scores={"lead": 40, "interest": {"seo": 10}}, segments={"hot": 1})

    async def timeline(self, contact_id: str, before: int | None, limit: int) -> list[Trace]:
        numbers = [n for n in range(12, 0, -1) if before is None or n < before][:limit]
        kinds = {n: "$merge" if n == 11 else "page_viewed" for n in numbers}
        return [Trace(n, Fact(f"f{n}", kinds[n], contact_id, n * 1000, n * 1000), 1, n * 1000) for n in numbers]

    async def explain(self, contact: Contact, query: ExplainQuery) -> Explanation:
        return Explanation(
            contact=contact.id,
            decided_for=contact.id,
            rule=query.rule,
            segment=query.segment,
            outcome="no_fact",
            sentence=f"Nothing about {query.fact}.",
            state="now",
        )

    async def look(self, token: str) -> Subscription:
        self._may_fail()
        if token != "good":
            raise Refused("link.invalid", "This link is not one of ours.", status=404)
        return Subscription("unsubscribe", "email", "marketing", "granted", True, "good")

    async def act(self, token: str, chosen: frozenset[str]) -> Subscription:
        self.calls.append({"token": token, "chosen": chosen})
        return await self.look(token)

    async def history(self, contact: str) -> list[ConsentEntry]:
        return [ConsentEntry(f"3.{n}:ab", *[""] * 13) for n in range(1, 10)]

    async def verify(self) -> LedgerCheck:
        return LedgerCheck(True, 0, 0, [], [])

    async def samples(self, rule: str, query: SamplesQuery) -> Samples:
        return Samples([SampleView("ada", "f1", "2026-03-27T10:00:00.000Z", f"{query.outcome} of {rule}")])

    async def top(self, score: str, key: str, cursor: str | None, limit: int) -> Page:
        if score != "lead":
            raise Refused("score.unknown", f"No active ruleset declares the score {score}.", status=404)
        return Page([{"contact": "ada", "score": 40, "key": key, "limit": limit}], cursor)

    async def members(self, segment: str, cursor: str | None, limit: int) -> Page:
        return Page([{"contact": "ada"}][:limit], cursor)


@dataclass
class MemoryForms:
    memory: Memory

    async def show(self, name: str, visitor: Visitor) -> FormView:
        if name != "webinar":
            raise Refused("form.unknown", "No active ruleset has a form of this name.", status=404)
        self.memory.calls.append({"visitor": visitor})
        value = "ada@example.org" if visitor.contact else UNSET
        return FormView(name, bool(visitor.contact), [FieldView("email", "E-mail", "string", True, UNSET, value)])

    async def submit(self, name: str, visitor: Visitor, said: Submission, source: str) -> Submitted:
        if "email" not in said.answers:
            wrong = Diagnostic(code="answer.missing", message="E-mail: an answer is needed", pointer="/answers/email")
            raise FormInvalid([wrong])
        self.memory.calls.append({"visitor": visitor, "said": said, "source": source})
        return Submitted(name)


@dataclass
class MemoryMessages:
    memory: Memory

    async def page(self, state: str | None, cursor: str | None, limit: int) -> Page:
        return Page([{"id": "m1", "state": state}][:limit], cursor)

    async def retry(self, id: str) -> bool:
        return id == "m1"

    async def approve(self, id: str, key: str) -> bool:
        return id == "m1"

    async def reject(self, id: str, key: str) -> bool:
        return id == "m1" and key != ""


@dataclass
class MemoryJourneys:
    memory: Memory

    async def list(self) -> list[JourneyState]:
        return [JourneyState("carts/cart", "r1", 3, 2, 1)]

    async def funnel(self, name: str) -> Funnel:
        if name not in ("cart", "carts/cart"):
            raise Refused("journey.unknown", "No active ruleset has it.", status=404)
        both = Comparison(Group(3, 1, 1 / 3), Group(0, 0, None), None)
        return Funnel("carts/cart", 3, 2, 1, {"goal": 1}, both, [])


class MemoryTrails:
    """One link."""

    def opened(self, token: str, user_agent: str) -> bool:
        return token == "good"

    async def clicked(self, token: str, user_agent: str) -> str:
        return self.target(token)

    def target(self, token: str) -> str:
        if token != "good":
            raise Refused("link.invalid", "This link is not one of ours.", status=404)
        return "https://shop.example/"

    async def close(self) -> None: ...


class MemoryInbox:
    """One message of one contact."""

    item = InboxItem("m1", "7", "Hello", "Text", "", {"url": "/a"}, "lifecycle", "2026-03-27T10:00:00.000Z", None)

    def token(self, contact: Contact, seconds: int) -> InboxToken:
        return InboxToken("good", contact.id, "2026-03-27T11:00:00.000Z")

    async def page(self, token: str, before: int | None, limit: int) -> InboxPage:
        self._check(token)
        return InboxPage([self.item], 1, "7", None)

    async def read(self, token: str, message: str) -> bool:
        self._check(token)
        return message == "m1"

    async def follow(self, token: str, place: int) -> AsyncGenerator[list[InboxItem]]:
        self._check(token)

        async def items() -> AsyncGenerator[list[InboxItem]]:
            yield [self.item] if place < 7 else []

        return items()

    async def leave(self) -> None: ...

    def _check(self, token: str) -> None:
        if token not in ("good", "admin-key"):
            raise Refused("inbox.token", "This is no token for an inbox, or no longer.", status=401)


class MemoryBrowsers:
    """Takes whatever a page says."""

    async def admit(self, drafts: Sequence[Draft], grant: TrackingGrant, now: int) -> list[Draft | Refused]:
        return list(drafts)


class MemoryPreviews:
    async def preview(self, asked: PreviewRequest) -> Preview:
        return Preview(asked.template, text=f"Hello {asked.data['contact']['name']}")


class MemoryScripts:
    """None are there."""

    async def states(self) -> list[ScriptView]:
        return []

    async def transform(self, path: str, request: Mapping[str, Any], seed: str, now: int) -> list[dict[str, Any]]:
        raise Refused("transform.unknown", f"There is no script {path}.", status=503)


class MemoryChoices:
    """One that nobody was shown yet."""

    async def list(self) -> list[ChoiceState]:
        arms = [ArmState(name, 0, 0, 0, None, 0.5, None) for name in ("a", "b")]
        return [ChoiceState("shop/hero", "r1", "3d", 0.05, None, 0, None, None, None, arms)]

    async def kept(self, contact: Contact | None, names: Sequence[str]) -> dict[str, Any]:
        return {name: {"variant": None, "reason": "choice.not_shown"} for name in names}


class MemoryModels:
    """One that has learned nothing yet."""

    async def list(self) -> list[ModelState]:
        waits = "It has 0 examples."
        return [ModelState("shop/buys", "online", "0" * 16, "7d", ["baskets"], None, 0, False, 0, 0, None, waits)]

    async def put(self, model: str, artefact: bytes) -> Deciding:
        return Deciding(model, digest(unpack(artefact)), 2)

    async def pin(self, model: str, pin: Pin) -> Deciding:
        return Deciding(model, pin.version, 2)


class MemoryKeys:
    """One key that is there, and any that is made."""

    def views(self) -> list[KeyView]:
        return [KeyView("write", ["facts:write"], [], [], 0)]

    async def make(self, new: NewKey) -> str:
        return f"ov_{new.name}_secret"

    async def revoke(self, name: str) -> bool:
        return name == "shop"


class MemoryPrivacy:
    """Ada can be erased, and two were before."""

    def _view(self, n: int | None) -> ErasureView:
        state, done = ("under_way", None) if n is None else ("done", "2026-03-27T10:00:00.000Z")
        return ErasureView(f"er-{n or 0}", state, "", "5e", "admin", "2026-03-27T09:59:59.000Z", done, {}, "", n, "ab")

    async def erase(self, id_or_alias: str, by: str) -> ErasureView | None:
        return self._view(None) if id_or_alias == "ada" else None

    async def erasure(self, id: str) -> ErasureView | None:
        return self._view(1) if id != "er-9" else None

    async def erasures(self, before: int | None, limit: int) -> ErasureList:
        items = [self._view(n) for n in (2, 1) if before is None or n < before][:limit]
        return ErasureList(True, "", [self._view(None)], items, str(items[-1].number) if limit == 1 else None)

    async def export(self, id_or_alias: str) -> Export | None:
        if id_or_alias == "busy":
            raise Overloaded("export.busy", "Too many exports wait for their turn.", 5)
        return Export("2026-03-27T10:00:00.000Z", ContactView.of(Contact(id_or_alias), []), [], {}, [], [], [], [], [])


class MemoryPlugins:
    """No plugins."""

    sources: tuple[HostedPush, ...] = ()

    def states(self) -> list[PluginView]:
        return []

    async def refused(self, limit: int) -> list[RefusalView]:
        return []

    async def addressed(self, facts: Sequence[object]) -> list[object | Unwanted]:
        return list(facts)

    async def heard(self, plugin: str, source: str, posted: Any) -> None: ...

    async def record(self, source: str, refused: Any, now: int, key: str = "") -> None:
        raise AssertionError("no source can have brought anything")


@dataclass
class MemoryClock:
    memory: Memory

    async def view(self) -> ClockView:
        return ClockView("2026-03-27T10:00:00.000Z", 0)

    async def advance(self, ms: int, *, jump: bool) -> ClockView:
        self.memory.calls.append({"ms": ms, "jump": jump})
        return ClockView("2026-03-27T10:00:00.000Z", ms, "2026-03-30T10:00:00.000Z" if jump else None)


class MemoryAttribution:
    """Never done; notes what it was asked."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    async def ask(self, question: Question, gone: Callable[[], bool]) -> Underway:
        self._memory.calls.append({"question": question, "gone": gone()})
        return Underway(7)


@dataclass
class MemoryBacktests:
    memory: Memory

    async def start(self, name: str, text: str, query: BacktestQuery) -> Backtest:
        self.memory.calls.append({"name": name, "text": text, "query": query})
        return await self.get("bt-1")

    async def get(self, id: str) -> Backtest:
        progress = BacktestProgress(1, 2)
        at = "2026-03-27T10:00:00.000Z"
        return Backtest(id, "running", at, {"vip": "r1"}, "30d", "", "active", progress, None, None)

    async def contacts(self, id: str, start: int, limit: int) -> tuple[list[dict[str, Any]], int | None]:
        found = [{"contact": f"c{n}"} for n in range(start, 5)]
        return found[:limit], start + limit if limit < len(found) else None

    async def remove(self, id: str) -> None:
        self.memory.calls.append({"removed": id})


@dataclass
class MemoryRulesets:
    memory: Memory

    async def check(self, text: str) -> tuple[object | None, list[Diagnostic]]:
        return (None, [FINDING]) if "totl" in text else (text, [])

    async def put(self, name: str, text: str) -> MemoryRevision:
        if (await self.check(text))[0] is None:
            raise RulesetInvalid([FINDING])
        revision = f"r{len(text)}"
        new = (name, revision) not in self.memory.documents
        self.memory.documents[name, revision] = text
        return MemoryRevision(name, revision, new)

    async def test(self, name: str, document: str, revision: str | None = None) -> Result:
        return Result(name, "fails" not in document, [], [FINDING] if revision else [], Coverage(2, ["rule r"]))

    async def activate(self, name: str, revision: str, if_match: Collection[str] | None = None) -> int:
        if (name, revision) not in self.memory.documents:
            raise Refused("ruleset.unknown", "There is no such revision.", status=404)
        self._hold(name, if_match)
        self.memory.active[name] = revision
        return 7

    def _hold(self, name: str, if_match: Collection[str] | None) -> None:
        active = self.memory.active.get(name)
        if if_match is not None and (active is None or not {active, "*"} & set(if_match)):
            raise Refused("ruleset.changed", "Another revision is active.", status=412)

    async def stranded(self, name: str, revision: str) -> dict[str, int]:
        return {}

    async def rollback(self, name: str, if_match: Collection[str] | None = None) -> tuple[str, int]:
        self._hold(name, if_match)
        return "r0", 8

    async def text(self, name: str, revision: str) -> str:
        if (name, revision) not in self.memory.documents:
            raise Refused("ruleset.unknown", "There is no such revision.", status=404)
        return self.memory.documents[name, revision]

    async def diff(self, name: str, to: str, before: str | None = None) -> list[Change]:
        old, new = await self.text(name, before or self.memory.active[name]), await self.text(name, to)
        return [] if old == new else [Change("changed", "rules", "r", "when", old, new)]

    async def list(self) -> list[RulesetState]:
        return [RulesetState(name, active, []) for name, active in self.memory.active.items()]

    async def get(self, name: str) -> RulesetState | None:
        revisions = [StoredRevision(r, "2026-03-27T10:00:00.000Z") for n, r in self.memory.documents if n == name]
        return RulesetState(name, self.memory.active.get(name), revisions) if revisions else None
