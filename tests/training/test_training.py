"""`overture train`: examples know nothing of what came later, the split is honest, what cannot be learned is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from trainingkit import DAY, SHOP, START, WEEKS, lines, posted

from overture.backtest.period import Bound
from overture.cli.main import run
from overture.decide import Plan
from overture.model import Fact, Refused
from overture.model.artefact import predict, unpack
from overture.model.clock import to_text
from overture.model.pure import NO_PLUGINS
from overture.model.script import unavailable
from overture.rules import link, load
from overture.state.archive import ArchiveWriter
from overture.state.log import pack_entry
from overture.training.examples import Drawn, Example, Examples
from overture.training.facts import Archived, spilled
from overture.training.run import Asked, train
from overture.training.split import parts

NOW = START + 400 * DAY
WITHIN = 7 * DAY
SPLIT = START + 17 * WITHIN
AGAINST = 'count("bought", within="28d")'


@pytest.fixture(scope="module")
def facts() -> list[dict[str, Any]]:
    return posted()


@pytest.fixture(scope="module")
def recorded(facts: list[dict[str, Any]]) -> Iterator[list[Fact]]:
    with spilled(lines(facts), NOW) as source:
        yield [fact for part in range(source.parts) for fact in source.facts(part)]


def trained(facts: list[dict[str, Any]], **asked: Any) -> Any:
    with spilled(lines(facts), NOW) as source:
        return train(Asked([SHOP], **{"split": Bound(SPLIT), "against": AGAINST} | asked), source, NO_PLUGINS)


def test_an_example_has_what_was_known_right_then_and_what_came_in_the_time(
    facts: list[dict[str, Any]], recorded: list[Fact]
) -> None:
    ruleset = load(SHOP)
    with spilled(lines(facts), NOW) as source:
        reader = Examples(source, Plan(link([ruleset], 1), "reference"), ruleset.models["buys"], unavailable)
        found = list(reader.read(START + WEEKS * WITHIN))
    assert len(found) == 60 * WEEKS
    bought: dict[str, list[Fact]] = {}
    country = {f.contact: f.properties["country"] for f in recorded if f.type == "identify"}
    for fact in recorded:
        if fact.type == "bought":
            bought.setdefault(fact.contact, []).append(fact)
    for example in found:
        mine = bought.get(example.contact, [])
        last = max((f.occurred_at for f in mine if f.occurred_at <= example.at), default=None)
        recent = [f for f in mine if example.at - 28 * DAY < f.occurred_at <= example.at]
        assert example.features == {
            "n7": sum(f.occurred_at > example.at - 7 * DAY for f in recent),
            "n28": len(recent),
            "spent": sum(f.properties["total"] for f in recent),
            "days": None if last is None else (example.at - last) / DAY,
            "country": country.get(example.contact),
        }
        assert example.met == any(example.at < f.occurred_at <= example.at + WITHIN for f in mine)
    assert reader.failed == 0


def test_what_comes_after_the_split_changes_the_test_and_not_what_was_learned(facts: list[dict[str, Any]]) -> None:
    first = trained(facts)
    changed = [
        {**fact, "properties": {**fact["properties"], "total": 1}}
        if fact["type"] == "bought" and fact["occurred_at"] > to_text(SPLIT)
        else fact
        for fact in facts
        if not (fact["type"] == "bought" and fact["occurred_at"] > to_text(SPLIT) and fact["id"].endswith("3"))
    ]
    other = trained(changed)
    assert (first.artefact.trees, first.artefact.calibration) == (other.artefact.trees, other.artefact.calibration)
    assert first.report.fitted == other.report.fitted
    assert first.report.tested != other.report.tested
    report = first.report
    assert report.fitted.until + WITHIN <= report.held.since
    assert report.held.until + WITHIN <= SPLIT <= report.tested.since
    assert report.measured.auc.value > 0.7
    assert report.measured.ece < 0.12
    assert report.against.measured.auc.value > 0.7
    assert report.measured.over.low < report.measured.over.value < report.measured.over.high


def test_the_command_writes_the_artefact_and_reads_an_archive_as_it_reads_a_file(
    facts: list[dict[str, Any]],
    recorded: list[Fact],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ruleset, file = tmp_path / "shop.yaml", tmp_path / "facts.ndjson"
    ruleset.write_text(SHOP)
    file.write_bytes(b"\n".join([*lines(facts), b'{"type": "Wrong"}']))
    by_partition = [[f for f in recorded if f.contact in contacts] for contacts in ({"c1", "c2"}, set[str]())]
    by_partition[1] = [f for f in recorded if f.contact not in {"c1", "c2"}]
    for partition, of in enumerate(by_partition):
        writer = ArchiveWriter(tmp_path / "data" / "archive", partition, 1)
        writer.append([(f"{n + 1}-0", pack_entry(of[n : n + 200])) for n in range(0, len(of), 200)])
        writer.close()
    monkeypatch.setenv("OVERTURE_DATA_DIR", str(tmp_path / "data"))
    common = ["train", str(ruleset), "--split", to_text(SPLIT), "--kind", "logistic", "--json"]
    reports: list[dict[str, Any]] = []
    for name, options in {"a": ["--facts", str(file)], "b": []}.items():
        assert run([*common, *options, "--out", str(tmp_path / name)]) == 0
        reports.append(json.loads(capsys.readouterr().out))
    assert reports[0] == reports[1]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    artefact = unpack((tmp_path / "a").read_bytes())
    assert artefact.edition == load(SHOP).models["buys"].edition
    often = predict(artefact, {"n7": 3.0, "n28": 11.0, "spent": 400.0, "days": 0.5, "country": "DE"}).probability
    seldom = predict(artefact, {"n7": 0.0, "n28": 0.0, "spent": 0.0, "days": None, "country": None}).probability
    assert often > 0.7 > 0.4 > seldom

    assert run([*common[:-1], "--facts", str(file), "--against", AGAINST]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("shop/buys", "fitted to", AGAINST, "ECE", "Calibration", "lift 10 %"))

    assert run(["rfm", "bought", "total", "--facts", str(file), "--json"]) == 0
    bounds = json.loads(capsys.readouterr().out)
    assert bounds["buyers"] > 50
    for part in ("days", "orders", "spent"):
        assert len(bounds[part]) == 4
        assert bounds[part] == sorted(set(bounds[part]))


@pytest.mark.parametrize(
    ("asked", "code", "word"),
    [
        ({"split": Bound(START)}, "train.split", "before"),
        ({"split": Bound(START + 500 * DAY)}, "train.split", "after"),
        ({"texts": [SHOP.replace('"bought"\n', '"bought" and fact.total > 87\n')]}, "train.too_few", "fitting"),
        ({"until": Bound(SPLIT + 1), "texts": [SHOP.replace("7d\n    f", "1h\n    f")]}, "train.too_few", "have"),
        ({"model": "sells"}, "train.no_model", "shop/buys"),
        ({"texts": [SHOP[: SHOP.index("models:")]], "against": ""}, "train.no_model", "models"),
        ({"against": "contact.scores.unheard"}, "train.against", "unheard"),
        ({"against": "last("}, "train.against", "last("),
    ],
)
def test_what_cannot_be_learned_is_refused_in_one_sentence(
    facts: list[dict[str, Any]], asked: dict[str, Any], code: str, word: str
) -> None:
    with spilled(lines(facts[: len(facts) // 2] if code == "train.no_model" else facts), NOW) as source:
        given = Asked(**{"texts": [SHOP], "split": Bound(SPLIT), "against": AGAINST} | asked)
        with pytest.raises(Refused) as refused:
            train(given, source, NO_PLUGINS)
    assert refused.value.code == code
    assert word in f"{refused.value.message} {refused.value.hint}"


def test_no_part_shares_the_answers_of_another_and_large_records_are_drawn_from_evenly() -> None:
    before = [Example(n * DAY, f"c{n}", {}, n % 2 == 0) for n in range(400)]
    tested = [Example((410 + n) * DAY, f"c{n}", {}, n % 2 == 0) for n in range(30)]
    found = parts(before, tested, WITHIN, 407 * DAY)
    assert found.fitted[-1].at + WITHIN == found.held[0].at == 320 * DAY
    drawn, again = Drawn(100), Drawn(100)
    for example in before:
        drawn.add(example)
    for example in reversed(before):
        again.add(example)
    assert drawn.in_order() == again.in_order()
    assert drawn.seen == 400
    assert 30 < len(drawn.in_order()) <= 100


def test_the_archive_of_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no archive"):
        Archived(tmp_path)
