"""Text of an expression → syntax tree. Python's grammar, never Python's execution.

`ast.parse` only parses; what it yields is translated node by node from a closed list, and everything else is refused.
Size and bracket depth are checked before Python sees the text.
"""

from __future__ import annotations

import ast
import re
import threading
import warnings
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import NoReturn

from overture.model.numbers import NUMBER_LIMIT
from overture.model.pure import FUNCTIONS, METHODS, Function
from overture.rules.historic import HISTORY, LOCAL_FIELDS, Texts, days, history
from overture.rules.report import Report, did_you_mean
from overture.rules.tree import (
    And,
    Arithmetic,
    Call,
    Compare,
    Comparison,
    Field,
    Items,
    Literal,
    Node,
    Not,
    Operator,
    Or,
    Place,
)
from overture.rules.yamltext import Locate

SOURCE_LIMIT = 4096
DEPTH_LIMIT = 40
NODE_LIMIT = 500
TEXT_LIMIT = 1000

_COMPARE: dict[type[ast.cmpop], Comparison] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_ARITHMETIC: dict[type[ast.operator], Operator] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Mod: "%",
}
_PARSING = threading.Lock()  # Python 3.11 loses count of its own depth where two threads parse at once: SystemError
_SURROGATE = re.compile("[\ud800-\udfff]")
_PREFIX = re.compile(r"\w*$")
_BEFORE_TEXT = frozenset({"", "r", "R", "in", "not", "and", "or"})
_NAMED_VALUES = {
    "true": "True",
    "false": "False",
    "null": "has(x)",
    "None": "has(x)",
    "AND": "and",
    "OR": "or",
    "NOT": "not",
}


class _Stop(Exception):
    """The expression is refused as a whole; the reason is reported."""


def parse_syntax(
    source: str,
    locate: Locate,
    consts: Mapping[str, Node],
    report: Report,
    pointer: str = "",
    roots: Collection[str] = ("fact", "contact"),
    functions: Mapping[str, Function] = MappingProxyType({}),
    owner: str = "",
) -> Node | None:
    """The tree of an expression, with consts folded in; None where something was reported.

    Fields begin at ``roots``. ``functions``: those of plugins; ``owner``: the ruleset, which their calls note down.
    """
    before = len(report.diagnostics)
    translator = _Translator(source, locate, consts, report, pointer, roots, functions, owner)
    try:
        node = translator.run()
    except _Stop:
        return None
    return node if len(report.diagnostics) == before else None


class _Translator:
    def __init__(
        self,
        source: str,
        locate: Locate,
        consts: Mapping[str, Node],
        report: Report,
        pointer: str,
        roots: Collection[str],
        functions: Mapping[str, Function],
        owner: str,
    ) -> None:
        self.source = source
        self.locate = locate
        self.consts = consts
        self.report = report
        self.pointer = pointer
        self.roots = roots
        self.functions = functions
        self.owner = owner
        self.nodes = 0
        self.offset = 0  # of the parsed text in the source
        self.text = ""

    # --- before Python's parser -----------------------------------------------------------------------------

    def run(self) -> Node:
        if len(self.source.encode(errors="replace")) > SOURCE_LIMIT:
            self.stop("condition.too_large", "The expression has more than 4 KB", 0, "Split it into several rules.")
        line = self.one_line()
        self.text = line.strip()
        self.offset = len(line) - len(line.lstrip())
        if not self.text:
            self.stop("condition.syntax", "The expression is empty", 0)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "\d" in a pattern is an author's business
                with _PARSING:
                    tree = ast.parse(self.text, mode="eval")
        except SyntaxError as error:
            # Offset 0 is how Python says that the text ended too early.
            at = error.offset - 1 if error.offset else len(self.text)
            self.stop("condition.syntax", f"Not an expression: {error.msg}", self.offset + min(at, len(self.text)))
        except ValueError:
            self.stop("condition.syntax", "Not an expression: a character in it has no place there", 0)
        except (MemoryError, RecursionError):
            self.stop("condition.too_deep", "The expression is nested too deeply", 0, "Split it into several rules.")
        return self.node(tree.body, 0)

    def one_line(self) -> str:
        """The source with its line ends as blanks; refuses what would make Python read it differently than it looks."""
        source, out, quote, depth, i = self.source, list(self.source), "", 0, 0
        while i < len(source):
            ch = source[i]
            if quote:
                if ch == "\n":
                    self.stop("condition.syntax", "A text must end on the line where it begins", i)
                if ch == "\\":
                    i += 1
                elif ch == quote:
                    quote = ""
            elif ch in "\"'":
                prefix = _PREFIX.search(source, max(0, i - 8), i)
                if source.startswith(ch * 3, i) or (prefix and prefix[0] not in _BEFORE_TEXT):
                    self.stop("condition.not_allowed", "Only plain texts in quotes are part of the language", i)
                quote = ch
            elif ch == "#":
                self.stop(
                    "condition.syntax", "An expression has no comments", i, "Put it in YAML: a # line before the key."
                )
            elif ch == "\\":
                self.stop("condition.syntax", "A backslash outside of a text", i)
            elif ch in "([{":
                depth += 1
                if depth > DEPTH_LIMIT:
                    self.stop("condition.too_deep", "The expression is nested more than 40 levels deep", i)
            elif ch in ")]}":
                depth -= 1
            elif ch in "\n\t":
                out[i] = " "
            i += 1
        return "".join(out)

    # --- the closed list of nodes ---------------------------------------------------------------------------

    def node(self, n: ast.expr, depth: int) -> Node:
        self.nodes += 1
        if self.nodes > NODE_LIMIT:
            self.stop(
                "condition.too_large",
                "The expression has more than 500 parts",
                self.at(n),
                "Split it into several rules.",
            )
        if depth > DEPTH_LIMIT:
            self.stop("condition.too_deep", "The expression is nested more than 40 levels deep", self.at(n))
        depth += 1
        place = self.place(n)
        match n:
            case ast.Constant():
                return self.literal(n, n.value, place)
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)) if (
                type(value) is not bool
            ):
                return self.literal(n, -value, place)
            case ast.UnaryOp(op=ast.USub()):
                return Arithmetic("-", Literal(0, place), self.node(n.operand, depth), place)
            case ast.UnaryOp(op=ast.Not()):
                return Not(self.node(n.operand, depth), place)
            case ast.BoolOp():
                terms = tuple(self.node(v, depth) for v in n.values)
                return And(terms, place) if isinstance(n.op, ast.And) else Or(terms, place)
            case ast.Compare():
                return self.compare(n, depth, place)
            case ast.BinOp() if type(n.op) in _ARITHMETIC:
                op = _ARITHMETIC[type(n.op)]
                return Arithmetic(op, self.node(n.left, depth), self.node(n.right, depth), place)  # type: ignore[arg-type]
            case ast.List():
                return Items(tuple(self.node(v, depth) for v in n.elts), place)
            case ast.Attribute(value=ast.Call(func=ast.Name("local")) as call):
                return self.local(n, call, depth, place)
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self.field(n, place)
            case ast.Call():
                return self.call(n, depth, place)
            case _:
                return self.refuse(n, "condition.not_allowed", f"This is not part of the language ({type(n).__name__})")

    def literal(self, n: ast.expr, value: object, place: Place) -> Node:
        if isinstance(value, str):
            if len(value) > TEXT_LIMIT:
                return self.refuse(n, "condition.literal", "A text has more than 1,000 characters")
            return self.whole(n, value) or Literal(value, place)
        if isinstance(value, bool):
            return Literal(value, place)
        if isinstance(value, int | float):
            if not abs(value) <= NUMBER_LIMIT:
                return self.refuse(n, "condition.literal", "The number is beyond ±2^53")
            return Literal(value, place)
        if value is None:
            return self.refuse(n, "condition.literal", "There is no None", "Write has(x) or not has(x).")
        return self.refuse(
            n, "condition.not_allowed", f"A literal of this kind is not part of the language ({type(value).__name__})"
        )

    def whole(self, n: ast.expr, text: str) -> Node | None:
        """Refuses a text that no state, store or message could hold; None for any other."""
        if not _SURROGATE.search(text):
            return None
        message = "A text has an escape for half of a character"
        return self.refuse(n, "condition.literal", message, "Write the character itself.")

    def compare(self, n: ast.Compare, depth: int, place: Place) -> Node:
        operands = [self.node(v, depth) for v in (n.left, *n.comparators)]
        parts: list[Node] = []
        for op, left, right in zip(n.ops, operands, operands[1:], strict=False):
            symbol = _COMPARE.get(type(op))
            if symbol is None:
                return self.refuse(
                    n, "condition.not_allowed", "`is` is not part of the language", "Write == or has(x)."
                )
            parts.append(Compare(symbol, left, right, place))  # type: ignore[arg-type]
        return parts[0] if len(parts) == 1 else And(tuple(parts), place)

    def field(self, n: ast.expr, place: Place) -> Node:
        path: list[str] = []
        at: ast.expr = n
        while not isinstance(at, ast.Name):
            if isinstance(at, ast.Attribute):
                path.append(at.attr)
            elif isinstance(at, ast.Subscript):
                if not (isinstance(at.slice, ast.Constant) and isinstance(at.slice.value, str)):
                    return self.refuse(
                        at,
                        "condition.not_allowed",
                        "A field is named by a text",
                        'Write contact.scores.interest["seo"].',
                    )
                if refused := self.whole(at.slice, at.slice.value):
                    return refused
                path.append(at.slice.value)
            else:
                return self.refuse(n, "condition.not_allowed", f"Only {' and '.join(self.roots)} have fields")
            if len(path) > 16:
                self.stop("condition.too_deep", "The field has more than 16 names", self.at(n))
            at = at.value
        path.reverse()
        if at.id in self.roots:
            if not path:
                return self.refuse(n, "condition.unknown_name", f"`{at.id}` needs a field", f"Write {at.id}.name.")
            return Field(at.id, tuple(path), place)  # type: ignore[arg-type]
        if at.id == "consts":
            if len(path) == 1 and path[0] in self.consts:
                return _moved(self.consts[path[0]], place)
            return self.refuse(
                n,
                "condition.unknown_name",
                f"There is no const {'.'.join(path)!r}",
                did_you_mean(".".join(path), self.consts),
            )
        instead = _NAMED_VALUES.get(at.id)
        roots = " or ".join(self.roots)
        hint = f"Write {instead}." if instead else f'Text stands in quotes: "{at.id}". Fields begin with {roots}.'
        return self.refuse(n, "condition.unknown_name", f"The name {at.id!r} is not known", hint)

    def call(self, n: ast.Call, depth: int, place: Place) -> Node:
        if isinstance(n.func, ast.Attribute):
            name, first, known = n.func.attr, [n.func.value], METHODS
        elif isinstance(n.func, ast.Name):
            name, first, known = n.func.id, [], FUNCTIONS | self.functions.keys()
        else:
            return self.refuse(n, "condition.not_allowed", "Only functions of the language can be called")
        if name not in known:
            other = FUNCTIONS if known is METHODS else METHODS
            usage = f"Write x.{name}(…)." if other is METHODS else f"Write {name}(x)."
            hint = usage if name in other else did_you_mean(name, known, "Is the plugin that offers it installed?")
            return self.refuse(n, "condition.unknown_function", f"There is no function {name!r}", hint)
        if name in HISTORY:
            return history(name, n, self.texts, self.refuse, place)
        if n.keywords:
            return self.refuse(n, "condition.arguments", f"`{name}` takes no named arguments")
        if name == "days":
            return days(n, self.texts, self.refuse, place)
        if name == "local":
            return self.refuse(n, "condition.arguments", "`local` needs a field", "Write local(x).hour.")
        arguments = tuple(self.node(a, depth) for a in (*first, *n.args))
        if (function := self.functions.get(name)) is not None:
            return Call(name, arguments, place, function, f"{self.owner}#{self.pointer}")
        return Call(name, arguments, place)

    def local(self, n: ast.Attribute, call: ast.Call, depth: int, place: Place) -> Node:
        if call.keywords or len(call.args) != 1:
            return self.refuse(call, "condition.arguments", "`local` takes one instant", "Write local(x).hour.")
        if n.attr not in LOCAL_FIELDS:
            hint = did_you_mean(n.attr, LOCAL_FIELDS)
            return self.refuse(n, "condition.unknown_field", f"`local(…)` has no field {n.attr!r}", hint)
        return Call("local", (self.node(call.args[0], depth), Literal(n.attr, place)), place)

    def texts(self, n: ast.expr) -> Texts | None:
        """A literal text in the expression, and what it takes to parse it; None where ``n`` is something else."""
        match n:
            case ast.Constant(value=str(value)):
                pass
            case ast.Attribute(ast.Name("consts"), name) if isinstance(const := self.consts.get(name), Literal):
                value = const.value
            case _:
                return None
        if not isinstance(value, str):
            return None
        literal = self.node(n, 0)
        refused = not (isinstance(literal, Literal) and literal.value == value)
        start, end = self.at(n), self.at(n, end=True)
        raw = self.source[start:end]
        begins = next((i + 1 for i, ch in enumerate(raw) if ch in "\"'"), 0)
        exact = raw[begins:-1] == value  # otherwise it has escapes, or is a const

        def locate(offset: int) -> Place:
            return self.locate(start + begins + offset if exact else start)

        def parse() -> Node | None:
            if refused:
                return None
            within = self.report, self.pointer, ("fact",), self.functions, self.owner
            return parse_syntax(value, locate, self.consts, *within)

        return Texts(value, parse)

    # --- places and problems --------------------------------------------------------------------------------

    def at(self, n: ast.expr, end: bool = False) -> int:
        """Offset in the source where the node begins or ends; Python counts columns in UTF-8 bytes."""
        column = (n.end_col_offset or 0) if end else n.col_offset
        if not self.text.isascii():
            column = len(self.text.encode()[:column].decode(errors="ignore"))
        return self.offset + column

    def place(self, n: ast.expr) -> Place:
        return self.locate(self.at(n))

    def refuse(self, n: ast.expr, code: str, message: str, hint: str = "") -> Node:
        """Report and go on, so that one run finds everything; the stand-in is never used."""
        self.report.at(code, message, self.place(n), self.pointer, hint)
        return Literal(True)

    def stop(self, code: str, message: str, offset: int, hint: str = "") -> NoReturn:
        self.report.at(code, message, self.locate(offset), self.pointer, hint)
        raise _Stop


def _moved(node: Node, place: Place) -> Node:
    """A const, as if it had been written here."""
    if isinstance(node, Items):
        return Items(tuple(_moved(item, place) for item in node.items), place)
    return Literal(node.value, place) if isinstance(node, Literal) else node
