"""``docs/choices.md`` is true: keys, reasons, numbers and parts are those of the code, and its example is answered."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.request import Request, urlopen

from dockit import CODE, ROOT, Running, blocks, code, page, part, table
from ruamel.yaml import YAML

from overture.decide import presence
from overture.deploy.choices import ENOUGH, PAUSE
from overture.intake.fields import CHOICES
from overture.match.zone import DAY_MS
from overture.rules.choices import DEFAULT_EXPLORE, LONGEST
from overture.rules.durations import duration_text
from overture.rules.keys import CHOICE, EXPLORE, VARIANTS
from overture.trial.reading import inspect
from overture.web.chosen import ArmState, ChoiceState

PAGE = page("choices.md")
TEXT = " ".join(PAGE.split())


SAID = ("decide/choosing.py", "node/choosing.py", "worker/decisions.py")
INSIDE = {"choice.withdrawn", "choice.made"}  # said of no answer


def ask(running: Running, path: str, body: Any = None, key: str = "") -> Any:
    headers = {"Authorization": f"Bearer {key or running.admin}", "Content-Type": "application/yaml"}
    method = "PUT" if path.endswith("/shown") else "GET" if body is None else "POST"
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    with urlopen(Request(f"{running.url}{path}", data, headers, method=method)) as answer:
        return json.load(answer)


def example() -> str:
    frame = {"apiVersion": "overture/v1", "kind": "Ruleset", "name": "shown"}
    return json.dumps({**frame, **YAML(typ="safe").load(blocks(PAGE, "yaml")[0])})


def test_the_keys_and_the_numbers_are_the_codes() -> None:
    assert [code(row[0]) for row in table(PAGE, "key")] == list(CHOICE.keys)
    assert f"{VARIANTS[0]} to {VARIANTS[1]} names" in TEXT
    assert f"{EXPLORE[0]:g} to {EXPLORE[1]:g}; {DEFAULT_EXPLORE}" in TEXT
    assert f"at most {duration_text(LONGEST)}" in TEXT
    assert f"are names, or `ruleset/name`, {CHOICES} at most" in TEXT
    assert PAUSE == 60_000
    assert f"by more than {ENOUGH}" in TEXT
    assert f"halves in {presence.HALF_LIFE // DAY_MS} days" in TEXT
    assert f"less than {presence.KNOWN:g} such hours" in TEXT
    assert (presence.OTHER_DAY, presence.BESIDE) == (0.25, 0.5)


def test_the_parts_of_the_report() -> None:
    rows = {name: row[1] for row in table(part(PAGE, "## How it stands"), "part") for name in CODE.findall(row[0])}
    assert list(rows) == list(ChoiceState.__struct_fields__)
    assert set(ArmState.__struct_fields__) <= set(CODE.findall(rows["arms"]))


def test_the_example_is_answered(running: Running) -> None:
    ruleset, _, findings = inspect(example())
    assert ruleset is not None
    assert [(f.severity, f.message) for f in findings if "unsubscribe" not in f.message] == []
    revision = ask(running, "/v1/rulesets/shown", example().encode())["revision"]
    ask(running, f"/v1/rulesets/shown/revisions/{revision}/activate", b"")
    said = blocks(part(PAGE, "## An app asks"), "")[0].partition("-d '")[2].rpartition("'")[0]
    answer = ask(running, "/v1/decide", json.loads(said), running.write)
    shown: dict[str, Any] = json.loads(blocks(PAGE, "json")[0])
    assert answer.keys() == shown.keys()
    (chosen,) = answer["choices"].values()
    assert chosen.keys() == shown["choices"]["last-call"].keys()
    again = ask(running, "/v1/decide", json.loads(said), running.write)
    assert again["status"] == "duplicate"
    assert again["choices"]["last-call"] == chosen | {"kept": True}
    (choice,) = ask(running, "/v1/choices")
    assert (choice["choice"], sum(arm["shown"] for arm in choice["arms"])) == ("shown/last-call", 1)
    told = ask(running, "/v1/contacts/grace/explain?choice=last-call")
    assert told["sentence"].startswith(f"Variant {chosen['variant']} was chosen: 50 % as nothing had been learned, at ")


def test_every_reason_is_said() -> None:
    reasons = {code(row[0]) for row in table(part(PAGE, "## An app asks"), "reason")}
    sources = (ROOT / "engine" / "overture" / name for name in SAID)
    assert (
        reasons
        == {said for source in sources for said in re.findall(r'"(choice\.[a-z_]+|backfill)"', source.read_text())}
        - INSIDE
    )
