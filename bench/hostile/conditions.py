"""`python -m bench.hostile.conditions`: conditions that want out, or want the machine to themselves, timed.

Each is either refused at deploy with a code, or is an ordinary condition that holds or does not, whatever the facts
hold. `CORPUS` says which; the tests hold the language to it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from overture.decide import Plan, step
from overture.model import Contact, Fact, Step
from overture.rules import RulesetInvalid, link, load

MOST = 200.0  # ms that nobody may keep the process to himself
DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: hostile
facts: {{seen: {{text: string, n: number, items: list, deep: object, any: any}}, other: {{n: number}}}}
traits: {{name: "string?", seats: "int?", since: "datetime?"}}
scores: {{hits: {{}}, keyed: {{per: text}}}}
rules:
  hostile:
    when: {condition}
    then: [{{score: {{name: hits, add: 1}}}}]
  beside: {{when: fact.type == "seen", then: [{{score: {{name: hits, add: 100}}}}]}}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """``code``: of the refusal; empty for what is an ordinary condition."""

    name: str
    text: str
    code: str = ""


CASES: dict[str, dict[str, str]] = {
    "condition.unknown_function": {
        "an import": "__import__('os').system('id')",
        "a builtin": "open('/etc/passwd').read()",
        "eval": "eval('1')",
        "exec": "exec('import os')",
        "a generator": "any(x for x in fact.items)",
        "a null byte": "fact.text == 'a\\0b' + chr(0)",
        "a method": "fact.text.format(fact)",
        "an encoding": "fact.text.encode('idna')",
        "all subclasses": "fact.text.__class__.__mro__[1].__subclasses__()",
        "not a number": "fact.n == float('nan')",
    },
    "condition.not_allowed": {
        "a lambda": "(lambda: 1)()",
        "a comprehension": "[x for x in fact.items]",
        "an f-string": "f'{fact.text}' == 'x'",
        "a walrus": "(x := fact.n) > 1",
        "an await": "await fact.n",
        "a yield": "(yield fact.n)",
        "a dict": "{'a': fact.n}",
        "a set of sets": "{fact.n, 1}",
        "stars": "max(*fact.items) > 1",
        "a slice": "fact.text[0:10] == 'x'",
        "an index": "fact.items[10**9]",
        "a power": "fact.n ** 9 ** 9 > 1",
        "a shift": "1 << 99999999 > fact.n",
        "a matrix product": "fact.n @ fact.n",
        "bits": "fact.n & 1",
        "an inversion": "~fact.n > 1",
        "bytes": "b'x' == fact.text",
        "a complex number": "1j == fact.n",
        "an ellipsis": "... == fact.n",
        "identity": "fact.n is fact.n",
    },
    "condition.syntax": {
        "a statement": "import os",
        "an assignment": "fact.n = 1",
        "two statements": "fact.n > 1; import os",
    },
    "condition.unknown_field": {
        "a class": "fact.__class__ == 1",
        "globals": "contact.__init__.__globals__",
        "a dictionary of a name": "contact.traits.__dict__",
        "a private one": "fact._properties == 1",
    },
    "condition.unknown_name": {
        "another root": "work.contact.id == 'x'",
        "self": "self.plan == 1",
        "a tab of a homoglyph": "fаct.n > 1",
    },
    "condition.too_large": {
        "too long": "fact.n > 1 or " * 400 + "fact.n > 2",
        "too many nots": "not " * 2000 + "fact.n > 1",
        "too many terms": " + ".join(["fact.n"] * 600) + " > 1",
        "deep comparisons": " < ".join(["fact.n"] * 700),
    },
    "condition.too_deep": {
        "too many parentheses": "(" * 300 + "fact.n > 1" + ")" * 300,
        "too many minus signs": "fact.n > " + "-" * 3000 + "1",
        "a deep list": "fact.n in " + "[" * 200 + "]" * 200,
        "calls in calls": "len(" * 100 + "fact.text" + ")" * 100 + " > 1",
    },
    "condition.literal": {
        "a huge number": "fact.n > " + "9" * 400,
        "a huge exponent": "fact.n > 1e400",
        "a text of 2,000 characters": f"fact.text == '{'x' * 2000}'",
        "a surrogate": "fact.text == '\\ud800'",
    },
    "condition.type": {
        "a text times a number": "fact.text * 1000000 == 'x'",
        "a list times a number": "[fact.n] * 1000000 == 1",
        "a sum of texts": "fact.text + fact.text == 'x'",
        "wrong types": "fact.text > fact.n",
        "a text in a number": "fact.text in fact.n",
    },
    "condition.pattern": {
        "a repetition that explodes": "matches(fact.text, '((a{1,100}){1,100}){1,100}')",
        "a back reference": "matches(fact.text, '(a)\\\\1')",
        "a look behind": "matches(fact.text, '(?<=a)b')",
        "a pattern of a million": "matches(fact.text, 'a{1000000}')",
        "a pattern of the fact's": "matches(fact.text, fact.text)",
    },
    "condition.duration": {
        "a window of ages": "count('seen', within='999999999999d') > 1",
    },
    "condition.arguments": {
        "a window in a window": "count('seen', where='count(1)', within='30d') > 1",
    },
    "": {
        "catastrophic in others": "matches(fact.text, '^(a+)+$')",
        "alternatives without end": "matches(fact.text, '(a|a|a|a)*b')",
        "dots": "matches(fact.text, '.*.*.*.*.*.*=.*')",
        "a division by nothing": "fact.n / 0 > 1",
        "a rest by nothing": "fact.n % 0 == 1",
        "a division of what may be nothing": "1 / fact.n > 0",
        "large times large": "fact.n * fact.n * fact.n * fact.n * fact.n > 1",
        "large minus large": "fact.n * fact.n - fact.n * fact.n == 0",
        "the length of what is deep": "len(fact.items) > 3",
        "anything": "fact.any == 1 or fact.any == 'x' or fact.any == fact.deep",
        "itself": "fact.deep == fact.deep",
        "in what is long": "'x' in fact.items",
        "in a long text": "fact.text.contains('aaaaaaaaaaaaaaaaaaaaaaab')",
        "lower of what grows": "fact.text.lower() == 'ß'",
        "a sum of a window": "count('seen', within='30d') > 1",
        "a missing trait": "contact.name == fact.text",
        "an instant far away": "age(contact.since) > days('1d')",
        "a key that is not there": "contact.scores.keyed.a > 1",
    },
}
"""By the code that each is refused with; empty for ordinary conditions."""
CORPUS = [Case(name, text, code) for code, cases in CASES.items() for name, text in cases.items()]


def facts() -> Iterator[Fact]:
    """What senders may say, at its worst."""
    deep: Any = 1
    for _ in range(30):
        deep = {"a": [deep]}
    texts = ["", "a" * 100_000 + "!", "ß" * 1000, "\x00", "\u202e" * 50, "=" * 1000, "İ" * 2000]
    numbers = [0, -1, 2**53, -(2**53), 1e-300, 0.1, 9e15]
    for n, (text, number) in enumerate(zip(texts, numbers, strict=True)):
        properties = {"text": text, "n": number, "items": ["x"] * 20_000, "deep": deep, "any": [deep] * 50}
        yield Fact(f"f{n}", "seen", "ada", 1_800_000_000_000 + n, 1_800_000_000_000 + n, properties)


def document(case: Case) -> str:
    return DOCUMENT.format(condition=json.dumps(f"fact.type == 'seen' and ({case.text})"))


def tried(case: Case, kind: Any = "durable") -> tuple[str, list[Step]]:
    """The code of the refusal, or nothing and what the hostile facts came to."""
    try:
        plan = Plan(link([load(document(case))], 1), kind)
    except RulesetInvalid as error:
        return error.diagnostics[0].code, []
    contact, steps = Contact("ada"), list[Step]()
    for fact in facts():
        steps.append(step(contact, fact, plan, fact.accepted_at))
        contact = steps[-1].contact
    return "", steps


def main() -> int:
    took: list[tuple[float, Case, str]] = []
    for case in CORPUS:
        began = time.perf_counter()
        code, steps = tried(case)
        took.append(((time.perf_counter() - began) * 1000 / max(len(steps), 1), case, code))
    took.sort(key=lambda each: -each[0])
    console = Console()
    refused = sum(1 for _, _, code in took if code)
    console.print(f"{len(took)} conditions: {refused} refused, {len(took) - refused} ordinary")
    for ms, case, code in took[:5]:
        console.print(f"{ms:7.1f} ms  {case.name}  {code or 'ordinary'}")
    return 0 if took[0][0] <= MOST else 1


if __name__ == "__main__":
    raise SystemExit(main())
