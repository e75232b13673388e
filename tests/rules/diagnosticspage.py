"""``docs/diagnostics.md``, made of the table of codes and of the corpus: what is bad, what is said, how it is mended.

`python tests/rules/diagnosticspage.py` writes it anew.
"""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path

from badkit import BAD, beside, document, found

from overture.rules.codes import CODES

PAGE = Path(__file__).parents[2] / "docs" / "diagnostics.md"

HEAD = """\
# Diagnostics

What the checker can say about a ruleset or its tests, one entry per code. Errors refuse the document; warnings do not.

Each example shows the lines that draw the diagnostic and what to write instead, and what is said of them. This page is
made of `engine/overture/rules/codes.py` and of `tests/rules/bad/<code>/example.yaml`, where the whole document stands
beside its mended form.
"""
LINES, WIDTH = 16, 110  # of an example; what is longer is cut


def page() -> str:
    return "\n".join([HEAD, *(entry(code) for code in CODES)])


def entry(code: str) -> str:
    about = CODES[code]
    mark = " (warning)" if about.severity == "warning" else ""
    example = BAD / code / "example.yaml"
    said = next(finding for finding in found(example) if finding.code == code)
    told = [f"{said.line - 1}:{said.column}: {said.message}" if said.line else said.message]
    if said.hint:
        told.append(f"    {said.hint}")
    changed, text = ("\n".join(cut(line) for line in lines) for lines in (difference(example), told))
    head = f"## `{code}`{mark}\n\n**{about.title}.** {about.explanation}\n"
    return f"{head}\n```diff\n{changed}\n```\n\n```\n{text}\n```\n"


def difference(example: Path) -> list[str]:
    """The lines that differ between the example and its mended form, each with its neighbours."""
    before, after = document(example).splitlines(), beside(example, "mended").read_text().splitlines()
    lines = [line for line in unified_diff(before, after, n=2, lineterm="") if not line.startswith(("---", "+++"))]
    shown = ["…" if line.startswith("@@") else line for line in lines[1:]]
    return shown if len(shown) <= LINES else [*shown[:LINES], "…"]


def cut(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
