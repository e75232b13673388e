"""What the send gate may choose from, across rulesets: one says it, and every message without a channel finds one."""

from __future__ import annotations

from collections.abc import Sequence

from overture.rules.journey import acting
from overture.rules.report import Report
from overture.rules.ruleset import Ruleset, SendAction
from overture.rules.sending import Sending
from overture.rules.tree import Place


def check_choice(rulesets: Sequence[Ruleset], report: Report) -> None:
    saying = [ruleset for ruleset in rulesets if ruleset.sending is not None]
    for other in saying[1:]:
        message = f"{saying[0].name!r} says `sending` too, and it is about all messages"
        place = other.sending.place if other.sending else Place()
        report.at("link.duplicate", message, place, f"{other.name}#/sending", "Let one ruleset say it.")
    sending = (saying[0].sending if saying else None) or Sending()
    for ruleset in rulesets:
        for place, pointer, then in acting(ruleset):
            for action in then:
                if isinstance(action, SendAction) and not action.channel:
                    _choose(ruleset, action, sending, report, place, pointer)


def _choose(ruleset: Ruleset, action: SendAction, sending: Sending, report: Report, place: Place, pointer: str) -> None:
    able = [name for name, carries in sending.channels.items() if action.needs <= carries]
    where = f"{ruleset.name}#{pointer}"
    if not able:
        needs = f" that carries {', '.join(sorted(action.needs))}" if action.needs else ""
        message = f"The message {action.choice or action.template!r} has no channel, and there is none to choose{needs}"
        hint = "Give it a channel, or declare sending.channels in one of the rulesets."
        report.at("send.no_channels", message, place, where, hint)
    elif "email" in able:
        for template in action.templates:
            if not ruleset.templates[template].subject:
                message = f"The template {template!r} has no subject, and may become an e-mail"
                report.at("template.empty", message, place, where)
