"""A tree spelled and parsed again is the same tree; windows and durations too."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overture.match.folding import shape
from overture.rules.durations import CALENDAR, duration, duration_text, window, window_text
from overture.rules.historic import LOCAL_FIELDS
from overture.rules.report import Report
from overture.rules.series import series_key
from overture.rules.spelling import spell
from overture.rules.syntax import parse_syntax
from overture.rules.tree import (
    And,
    Arithmetic,
    Call,
    Compare,
    Decaying,
    Field,
    History,
    Items,
    Literal,
    Node,
    Not,
    Or,
    Place,
    Window,
)

names = st.sampled_from(["path", "a_b", "x-y", "with blank", "class", "é", '"', "1st", "fact"])
fields = st.builds(Field, st.sampled_from(["fact", "contact"]), st.lists(names, min_size=1, max_size=3).map(tuple))
texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=5)
literals = st.builds(
    Literal,
    st.one_of(texts, st.booleans(), st.integers(-(2**53), 2**53), st.floats(-1e15, 1e15).filter(lambda x: x != 0)),
)
windows = st.one_of(
    st.sampled_from([*CALENDAR.values()]),
    st.builds(lambda n, unit: window(f"{n}{unit}"), st.integers(1, 99), st.sampled_from("smhdw")),
)
about_fact = st.builds(
    Compare, st.sampled_from(["==", ">"]), st.builds(Field, st.just("fact"), st.tuples(names)), literals
)
series = st.builds(
    lambda type, where: series_key(type, (), where), st.sampled_from(["a", "b.c"]), st.none() | about_fact
)
histories = st.one_of(
    st.builds(History, st.sampled_from(["count", "seen"]), series, st.none() | windows),
    st.builds(History, st.sampled_from(["last", "first"]), series),
    st.builds(
        lambda field, where, w: History("total", series_key("a", field, where), w),
        st.sampled_from([("n",), ("n", "m")]), st.none() | about_fact, st.none() | windows,
    ),
)  # fmt: skip


def _extend(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    several = st.lists(nodes, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(And, several),
        st.builds(Or, several),
        st.builds(Not, nodes),
        st.builds(Items, st.lists(nodes, max_size=3).map(tuple)),
        st.builds(Compare, st.sampled_from(["==", "!=", "<", ">=", "in", "not in"]), nodes, nodes),
        st.builds(Arithmetic, st.sampled_from("+-*/%"), nodes, nodes),
        st.builds(lambda name, x: Call(name, (x,)), st.sampled_from(["has", "len", "age", "lower"]), nodes),
        st.builds(
            lambda name, x, y: Call(name, (x, y)), st.sampled_from(["startswith", "contains", "max"]), nodes, nodes
        ),
        st.builds(lambda x, name: Call("local", (x, Literal(name))), nodes, st.sampled_from(LOCAL_FIELDS)),
        st.just(Call("now", ())),
    )


trees = st.recursive(st.one_of(fields, literals, histories), _extend, max_leaves=8)


def parsed(source: str) -> Node:
    report = Report()
    node = parse_syntax(source, lambda i: Place(1, i + 1), {}, report)
    assert node is not None, (source, report.diagnostics)
    return node


@settings(max_examples=400)
@given(trees)
def test_what_is_spelled_parses_to_the_same_tree(node: Node) -> None:
    assert shape(parsed(spell(node))) == shape(node)


def test_a_score_that_decays_is_spelled_as_written() -> None:
    assert spell(Decaying(Field("contact", ("scores", "warm")), 5)) == "contact.scores.warm"


@pytest.mark.parametrize(
    ("text", "ms"), [("1s", 1_000), ("30m", 1_800_000), ("12h", 43_200_000), ("1d", 86_400_000), ("2w", 1_209_600_000)]
)
def test_durations(text: str, ms: int) -> None:
    assert duration(text) == ms
    assert duration(duration_text(ms)) == ms


@pytest.mark.parametrize("text", ["", "7", "d", "7 d", "7D", "-7d", "1.5h", "7days", "1234567d", "７d", "7d\n"])
def test_what_is_no_duration(text: str) -> None:
    assert duration(text) is None


@pytest.mark.parametrize("text", ["0d", "yesterday", "Today", ""])
def test_what_is_no_window(text: str) -> None:
    assert window(text) is None


@given(windows)
def test_windows(w: Window) -> None:
    assert window(window_text(w)) == w
