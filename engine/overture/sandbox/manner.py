"""How a source is run so that nothing of one call is there in the next.

A call begins with the source as it stands: what it says outside of functions is done anew, in names of its own. What
could outlive that lies in the interpreter's own modules, and there is little of it: the random numbers and the context
of decimal numbers are set anew, and a source that may reach more than these has a session to itself for each call.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

LONGEST = 32 << 10  # bytes of source
ANSWER = 64 << 10  # characters of JSON

# What means something else inside of a function, or goes over the end of a line in a way that is not followed.
_HELD_BACK = re.compile(r"'''|\\$|^return\b|\b(global|nonlocal|exec|eval|locals|await|__name__)\b", re.MULTILINE)
_TEXT = re.compile(r'[ \t]*"""[^"\\]*("""[ \t]*)?')  # a whole line that begins such a text, and may end it
_TEXT_ENDS = re.compile(r'[^"\\]*"""[ \t]*')
_REACHES_FAR = re.compile(r"\b(exec|eval|asyncio|async|await|sys|csv)\b")
_DECIMALS_OF_ALL = re.compile(r"(Default|Basic|Extended)Context|\bgetattr\b")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Manner:
    """``text``: what the session is given. ``made``: it makes a function that makes ``main``, which costs nothing;
    else the text is read anew for each call. ``alone``: each call has a session to itself.
    """

    text: str
    made: bool = False
    random: bool = False
    decimal: bool = False
    alone: bool = False

    @property
    def moved(self) -> int:
        """By how many lines and columns the text was moved."""
        return 1 if self.made else 0


def manner(source: str) -> Manner:
    """Raises ValueError, with a sentence, where the source cannot be taken as it is."""
    source = plain(source).text
    if len(source.encode("utf-8", "replace")) > LONGEST:
        raise ValueError(f"The source is longer than {LONGEST >> 10} KB.")
    if found := _CONTROL.search(source):
        raise ValueError(f"There is a control character, U+{ord(found[0]):04X}, in the source.")
    read = unicodedata.normalize("NFKC", source)  # as names are read
    decimal = "decimal" in read
    alone = bool(_REACHES_FAR.search(read)) or (decimal and bool(_DECIMALS_OF_ALL.search(read)))
    random = "random" in read
    if not alone and not _HELD_BACK.search(read) and (body := _moved(source)) is not None:
        return Manner(f"def make():\n{body}\n return main\n", True, random, decimal)
    return Manner(source, False, random, decimal, alone)


def _moved(source: str) -> str | None:
    """The source one to the right, but for texts over several lines; None where these are not easily told."""
    inside, lines = False, list[str]()
    for line in source.split("\n"):
        lines.append(line if inside else f" {line}")
        if inside and '"""' not in line:
            if '"' in line or "\\" in line:
                return None
        elif '"""' in line:
            found = (_TEXT_ENDS if inside else _TEXT).fullmatch(line)
            if found is None:
                return None
            inside = not inside and not found[1]
    return None if inside else "\n".join(lines)


def plain(source: str) -> Manner:
    """The source as it stands, read anew for each call."""
    return Manner(source.replace("\r\n", "\n"), random=True, decimal=True)


PRELUDE = (
    f"longest = {ANSWER}\n"
    + """
import decimal
import json
import random

def quiet(*args, **kwargs):
    return None

def same_id(*args):
    raise TypeError('id() is not the same from call to call')

def same_hash(value):
    if isinstance(value, (str, int, float, bytes)):
        return hash(value)
    raise TypeError('hash() of this is not the same from call to call')

def names():
    return {'print': quiet, 'id': same_id, 'hash': same_hash}

def define(text, once, seeds, decimals):
    global source, made, seeded, counted
    source, seeded, counted = text, seeds, decimals
    made = None
    if once:
        space = names()
        exec(text, space)
        made = space['make']

def one(given, seed):
    if seeded:
        random.seed(seed)
    if counted:
        decimal.setcontext(decimal.Context(prec=28, rounding=decimal.ROUND_HALF_EVEN, Emin=-999999, Emax=999999,
            capitals=1, clamp=0, flags=[],
            traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow]))
    if made is None:
        space = names()
        exec(source, space)
        main = space['main']
    else:
        main = made()
    said = json.dumps(main(**json.loads(given)), allow_nan=False, separators=(',', ':'))
    if len(said) > longest:
        raise ValueError('it answers more than it may')
    return said

def several(items):
    out = []
    for given, seed in items:
        try:
            out.append(one(given, seed))
        except Exception:
            out.append(None)
    return out
"""
)
