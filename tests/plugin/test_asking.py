"""What plugins answer at once: whatever they do comes back as an answer or as one error, in bounded time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from pydantic import BaseModel, field_validator

from overture.model.errors import PluginFailed
from overture.model.pure import FUNCTIONS, METHODS, WrongConfig
from overture.model.scoring import ContactView, FactView, Scored, ScoreInput, View
from overture.plugin import FunctionPlugin, Limits, ScorerPlugin
from overture.plugin.asking import ASKING, HostedFunction, HostedScorer
from overture.plugin.kinds import PURE, check_offer

QUICK = Limits(timeout=0.03, failures=2, pause=0.2)


def hosted(call: Callable[..., Any], returns: str = "any?", limits: Limits = ASKING) -> HostedFunction:
    return HostedFunction(FunctionPlugin(name="f", parameters=("any?",), returns=returns, call=call), limits)


class Evil(BaseException):
    def __str__(self) -> str:
        raise self


class Endless(Mapping[str, int]):
    def __getitem__(self, key: str) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        n = 0
        while True:
            n += 1
            yield str(n)

    def __len__(self) -> int:
        return 1


def raising(error: BaseException) -> Callable[..., Any]:
    def call(_: Any) -> Any:
        raise error

    return call


def deep(x: Any) -> Any:
    return deep(x)


def tangled() -> list[Any]:
    inner: list[Any] = []
    for _ in range(40):
        inner = [inner, inner]
    return inner


@pytest.mark.parametrize(
    ("call", "returns", "code"),
    [
        (raising(ValueError("no")), "any?", "plugin.raised"),
        (raising(SystemExit(1)), "any?", "plugin.raised"),
        (raising(KeyboardInterrupt()), "any?", "plugin.raised"),
        (raising(GeneratorExit()), "any?", "plugin.raised"),
        (raising(Evil()), "any?", "plugin.raised"),
        (deep, "any?", "plugin.raised"),
        (lambda: 3, "any?", "plugin.raised"),
        (lambda _: None, "bool", "plugin.wrong_answer"),
        (lambda _: "yes", "bool", "plugin.wrong_answer"),
        (lambda _: 1, "bool", "plugin.wrong_answer"),
        (lambda _: True, "number", "plugin.wrong_answer"),
        (lambda _: 1.5, "int", "plugin.wrong_answer"),
        (lambda _: float("nan"), "number", "plugin.wrong_answer"),
        (lambda _: 2**60, "number", "plugin.wrong_answer"),
        (lambda _: "\ud800", "string", "plugin.wrong_answer"),
        (lambda _: "x" * 20_000, "string", "plugin.wrong_answer"),
        (lambda _: {1: 2}, "object", "plugin.wrong_answer"),
        (lambda _: {"a": object()}, "object", "plugin.wrong_answer"),
        (lambda _: Endless(), "object", "plugin.wrong_answer"),
        (lambda _: tangled(), "list", "plugin.wrong_answer"),
        (lambda _: (x for x in ()), "list", "plugin.wrong_answer"),
    ],
)
def test_what_is_no_answer_is_one_error(call: Callable[..., Any], returns: str, code: str) -> None:
    function = hosted(call, returns)
    with pytest.raises(PluginFailed) as failed:
        function.function.call([1])
    assert failed.value.code == code
    assert failed.value.message.startswith("The function f ")
    assert function.breaker.failures == 1
    assert function.breaker.last == failed.value.message


@pytest.mark.parametrize(
    ("answer", "returns", "found"),
    [
        ((1, 2), "list", [1, 2]),
        (3, "number", 3),
        (None, "bool?", None),
        ({"a": ()}, "object", {"a": []}),
    ],
)
def test_an_answer_is_a_value_of_our_own(answer: Any, returns: str, found: Any) -> None:
    assert hosted(lambda _: answer, returns).function.call([1]) == found


def test_arguments_are_copies() -> None:
    traits = {"list": [1, {"a": 2}]}

    def meddle(value: Any) -> int:
        value["list"][1]["a"] = 3
        value["list"].append(4)
        return len(value["list"])

    assert hosted(meddle, "int").function.call([traits]) == 3
    assert traits == {"list": [1, {"a": 2}]}


def test_it_is_left_alone_after_failures_in_a_row_and_tried_again_after_the_pause() -> None:
    asked: list[Any] = []

    def moody(value: Any) -> bool:
        asked.append(value)
        if value != "good":
            raise ValueError(value)
        return True

    function = hosted(moody, "bool", QUICK)
    for value in ("bad", "worse"):
        with pytest.raises(PluginFailed) as failed:
            function.function.call([value])
        assert failed.value.code == "plugin.raised"
    assert function.breaker.state == "open"
    with pytest.raises(PluginFailed) as failed:
        function.function.call(["good"])
    assert (failed.value.code, asked) == ("plugin.left_alone", ["bad", "worse"])
    while function.breaker.state == "open":
        time.sleep(0.01)
    assert function.function.call(["good"]) is True
    assert function.breaker.state == "closed"


def test_one_call_that_goes_on_for_ever_is_enough() -> None:
    def loops(_: Any) -> bool:
        while True:
            pass

    def sleeps(_: Any) -> bool:
        time.sleep(3600)
        return True

    for call in (loops, sleeps):
        function = hosted(call, "bool", QUICK)
        codes: list[str] = []
        for _ in range(2):
            with pytest.raises(PluginFailed) as failed:
                function.function.call([1])
            codes.append(failed.value.code)
        assert codes == ["plugin.blocked", "plugin.left_alone"]
        assert (function.breaker.admit() or 0) > QUICK.pause


class Config(BaseModel):
    points: int = 1

    @field_validator("points")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value == 13:
            raise SystemExit("unlucky")
        return value


class Scores:
    opened: list[int] = []

    def __init__(self, config: Config) -> None:
        if config.points == 7:
            raise RuntimeError("it does not open")
        self.points = config.points
        Scores.opened.append(config.points)

    def score(self, given: ScoreInput) -> Any:
        return Scored(self.points, {"points": "many"} if self.points == 3 else {})  # type: ignore[dict-item]


def test_a_scorer_is_opened_once_for_the_same_settings_and_wrong_ones_are_told_with_their_place() -> None:
    scorer = HostedScorer(ScorerPlugin(name="s", config=Config, open=Scores, version="1")).scorer
    assert scorer.open({"points": 2}) is scorer.open({"points": 2})
    assert Scores.opened == [2]
    for settings, path in (
        ({"points": "x"}, ("points",)),
        ({"pts": 1}, ("pts",)),
        ({"points": 7}, ()),
        ({"points": 13}, ()),
    ):
        with pytest.raises(WrongConfig) as wrong:
            scorer.open(settings)
        assert wrong.value.problems[0][0] == path
    with pytest.raises(PluginFailed) as failed:
        scorer.open({"points": 3}).score(SEEN)
    assert failed.value.code == "plugin.wrong_answer"


NOBODY = ContactView("ada", View({}), View({}), frozenset(), frozenset())
SEEN = ScoreInput(FactView("t", View({"a": {"b": [1, {"c": 2}]}}), View({}), 0), NOBODY, 0)


def test_what_a_scorer_is_given_is_read_only_all_the_way_down() -> None:
    inner = SEEN.fact.properties["a"]
    assert inner["b"][1]["c"] == 2
    for write in (lambda: inner.__setitem__("b", 1), lambda: inner["b"][1].update(c=3), lambda: inner["b"].append(1)):
        with pytest.raises((TypeError, AttributeError)):
            write()


@pytest.mark.parametrize("name", [*sorted(FUNCTIONS | METHODS), "fact", "in", "Upper", "two words"])
def test_no_plugin_takes_a_name_of_the_language(name: str) -> None:
    offered = FunctionPlugin(name=name, parameters=(), returns="bool", call=lambda: True)
    with pytest.raises(Exception) as refused:
        check_offer(PURE[0], offered)
    assert getattr(refused.value, "code", "") in ("plugin.built_in", "plugin.wrong_name")


async def test_what_goes_on_for_ever_is_interrupted_also_where_another_thread_asks() -> None:
    def doze(_: Any) -> bool:
        time.sleep(3600)
        return True

    function = HostedFunction(
        FunctionPlugin(name="f", parameters=("any?",), returns="bool", call=doze), QUICK, asyncio.get_running_loop()
    )
    with pytest.raises(PluginFailed) as failed:
        await asyncio.to_thread(function.function.call, [1])
    assert failed.value.code == "plugin.blocked"
