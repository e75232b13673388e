"""What a mail would rather not have: pictures without words, links that lead nowhere, values that come apart.

These are warnings. They are found in sources of templates, and in what comes out of one (`web` shows both).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from overture.rules.journey import Journey
from overture.rules.report import Report
from overture.rules.ruleset import Rule, Segment, SendAction, TemplateDecl
from overture.rules.scope import Inside
from overture.rules.sends import senders
from overture.rules.template import tags_of
from overture.rules.tree import Place

CLIPPED = 102_400  # bytes of HTML, behind which Gmail cuts a mail
SUBJECT = 70  # characters; more is cut in most lists of mails
_OPEN = "\ue000"  # stands where a value is; no text has it
# Nothing is tried twice (++): what is read may be one name of 200,000 letters.
ELEMENT = re.compile(r"""<(/?)([A-Za-z][\w:.-]*+)((?:[^<>"']|"[^"]*"|'[^']*')*+)>""")
_ATTRIBUTE = re.compile(r"""(?<![\w:-])([\w:-]++)\s*+=\s*+(?:"([^"]*)"|'([^']*)'|([^\s"'>]++))""")
_LOCAL = re.compile(r"https?://(localhost|127\.|0\.0\.0\.0|\[::1\]|10\.|192\.168\.)", re.IGNORECASE)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PICTURES = frozenset({"img", "mj-image", "mj-carousel-image", "mj-hero"})
_MUST = frozenset({"img", "mj-image", "mj-carousel-image"})
_LINKS = {"href", "src", "action"}
_LEAVE = ("links.unsubscribe", "links.preferences")
_TRANSACTIONAL = "transactional"


@dataclass(frozen=True, slots=True)
class Finding:
    """``code`` of a diagnostic; ``message`` without full stop; ``offset`` in characters of the text."""

    code: str
    message: str
    hint: str = ""
    offset: int = 0


def of_markup(source: str, *, mjml: bool) -> Iterator[Finding]:
    """About HTML or MJML, with tags of templates in it or without."""
    text = _masked(source)
    lowered = text.lower()
    whole = viewport = False
    hidden = ""  # the element whose inside is no text
    for found in ELEMENT.finditer(text):
        closing, name, rest, at = found[1], found[2].lower(), found[3], found.start()
        if name in ("script", "style", "mj-style"):
            if closing:
                hidden = "" if hidden == name else hidden
            elif not hidden:
                hidden = name
                if _OPEN in text[at : _end(lowered, name, at)]:
                    yield Finding("template.unquoted", f"A value stands in <{name}>, where nothing is escaped", "", at)
        if closing or hidden not in ("", name):
            continue
        attributes = {a[1].lower(): a[2] or a[3] or a[4] or "" for a in _ATTRIBUTE.finditer(rest)}
        whole |= name in ("html", "head")
        viewport |= name == "meta" and attributes.get("name", "").lower() == "viewport"
        for attribute in _ATTRIBUTE.finditer(rest):
            if attribute[4] is not None and _OPEN in attribute[4]:
                hint = f'Write {attribute[1]}="{{{{ … }}}}".'
                yield Finding("template.unquoted", f"The value of {attribute[1]} has no quotes around it", hint, at)
        if name in _MUST and "alt" not in attributes:
            hint = 'Say what it shows; alt="" for one that only decorates.'
            yield Finding("template.alt_text", f"A picture, <{name}>, has no alt", hint, at)
        for key in _LINKS & attributes.keys():
            if why := _link(attributes[key], picture=name in _PICTURES):
                yield Finding("template.link", f"{key}={attributes[key][:60].replace(_OPEN, '…')!r} {why}", "", at)
    if whole and not viewport and not mjml:
        hint = 'Write <meta name="viewport" content="width=device-width, initial-scale=1">.'
        yield Finding("template.viewport", "The document says no viewport: on a phone it is shown tiny", hint)


def of_size(size: int) -> Iterator[Finding]:
    """``size``: bytes of HTML."""
    if size > CLIPPED:
        yield Finding("template.size", f"It comes out as {size >> 10} KiB of HTML, and Gmail cuts what is behind 100")


def of_subject(source: str) -> Iterator[Finding]:
    said = _masked(source).replace(_OPEN, "").strip()
    if len(said) > SUBJECT:
        yield Finding("template.subject", f"The subject has {len(said)} characters", f"{SUBJECT} are shown at most.")


def of_leaving(
    templates: Mapping[str, TemplateDecl], places: Mapping[str, Place], sent: Iterable[SendAction], report: Report
) -> None:
    """Report mails that need consent and say nowhere how to take it back."""
    told: set[str] = set()
    for action in sent:
        if action.purpose == _TRANSACTIONAL or action.channel not in ("", "email"):
            continue
        for name in action.templates:
            template = templates.get(name)
            if template is None or template.blocks or name in told or not (template.html or template.mjml):
                continue
            if not any(link in template.html + template.mjml for link in _LEAVE):
                told.add(name)
                hint = "Write {{ links.unsubscribe }} or {{ links.preferences }}; what the mail's header says, few see."
                message = f"The mail {name!r} has no link to unsubscribe"
                report.at("template.unsubscribe", message, places[f"templates/{name}"], f"/templates/{name}", hint)


def actions_of(
    rules: Sequence[Rule], segments: Iterable[Segment], journeys: Mapping[str, Journey], knows: Mapping[str, Inside]
) -> Iterator[SendAction]:
    """All that a document sends."""
    for sender in senders(rules, segments, journeys, knows):
        yield from (action for action in sender.then if isinstance(action, SendAction))


def _masked(source: str) -> str:
    """With each tag as long as it was: a value leaves a mark, anything else nothing."""
    parts: list[str] = []
    at = 0
    for opening, start, body in tags_of(source):
        end = min(start + len(body) + 2, len(source))
        mark = _OPEN if opening == "{{" else " "
        parts += (source[at : start - 2], mark * (end - start + 2))
        at = end
    return "".join([*parts, source[at:]])


def _end(text: str, name: str, at: int) -> int:
    end = text.find(f"</{name}", at)
    return len(text) if end < 0 else end


def _link(target: str, *, picture: bool) -> str:
    """What is wrong with it, empty where nothing is."""
    target = target.strip()
    if not target or target[0] in f"#{_OPEN}":
        return ""
    if _LOCAL.match(target):
        return "leads to the machine of whoever reads it"
    if not _SCHEME.match(target):
        return "leads nowhere in a mail" + ("" if not target.startswith("//") else ", which has no scheme of its own")
    scheme = target.partition(":")[0].lower()
    if scheme in ("javascript", "vbscript", "file") or (scheme == "data" and not picture):
        return "is taken out by programs for mail"
    return "is not encrypted on its way" if scheme == "http" else ""
