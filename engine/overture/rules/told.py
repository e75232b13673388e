"""What a ruleset says, in plain values as they are written: actions, journeys, what the gate is told."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from overture.model.pure import Scoring
from overture.rules.durations import UNITS, duration_text, minute_text, window_text
from overture.rules.form import Form
from overture.rules.journey import END, Branch, Contest, Do, Journey, JourneyStep, Split, Wait
from overture.rules.keys import WEEKDAYS
from overture.rules.learning import Model
from overture.rules.ruleset import (
    Action,
    AssertAction,
    Choice,
    IssueAction,
    ListAction,
    RunAction,
    ScoreAction,
    SegmentAction,
    SendAction,
    SetAction,
    StartAction,
    StopAction,
    UnsetAction,
    Value,
)
from overture.rules.script import ScriptDecl
from overture.rules.sending import Sending
from overture.rules.spelling import spell
from overture.rules.tree import Items, Literal, Window

Facets = dict[str, Any]
"""What is said of one thing, in plain values: a condition as text, actions as they are written."""


def said(**facets: Any) -> Facets:
    """Without those that say nothing; a 0 says something."""
    return {name: value for name, value in facets.items() if value not in (None, "", [], {})}


def actions_told(actions: Iterable[Action]) -> list[Facets]:
    return [action_told(action) for action in actions]


def action_told(action: Action) -> Facets:
    match action:
        case ScoreAction(name, add, set_, per, by):
            values = {"add": add, "set": set_, "per": per}
            config = dict(by.config) if isinstance(by, Scoring) else {}
            how = {} if by is None else said(**{"by": by.name, "with": config})
            return {"score": {"name": name, **_values({k: v for k, v in values.items() if v is not None}), **how}}
        case SetAction(traits):
            return {"set": _values(traits)}
        case UnsetAction(traits):
            return {"unset": list(traits)}
        case AssertAction(type, properties):
            return {"assert": {"type": type, "properties": _values(properties)}}
        case SegmentAction(name, enter):
            return {"segment": {"enter" if enter else "leave": name}}
        case ListAction(name, add):
            return {"list": {"add" if add else "remove": name}}
        case IssueAction(kind, properties):
            return {"issue": {"kind": kind, **_values(properties)}}
        case SendAction():
            return {"send": _send(action)}
        case StartAction(journey):
            return {"start": journey}
        case StopAction(journey):
            return {"stop": journey}
        case RunAction(script):
            return {"run": script.name}


def _send(action: SendAction) -> Facets:
    return said(
        channel=action.channel,
        template={"choice": action.choice} if action.choice else action.template,
        purpose=action.purpose,
        to=action.to,
        needs=sorted(action.needs),
        priority=action.priority or None,
        late=duration_text(action.late_ms) if action.late_ms is not None else None,
        if_held="expire" if action.expires else None,
        approval="required" if action.approval else None,
        when="best" if action.best_ms else None,
        within=duration_text(action.best_ms) if action.best_ms else None,
        otherwise=None if action.otherwise is None else minute_text(action.otherwise),
    )


def choice_told(choice: Choice) -> Facets:
    return said(
        variants=[{v.name: said(**{"if": spell(v.when) if v.when is not None else ""})} for v in choice.variants],
        goal=spell(choice.goal),
        within=duration_text(choice.within_ms),
        explore=choice.explore,
        keep=duration_text(choice.keep_ms) if choice.keep_ms else None,
    )


def _values(values: Any) -> Facets:
    return {name: _value(value) for name, value in values.items()}


def _value(value: Value) -> Any:
    match value:
        case Literal(plain):
            if isinstance(plain, float) and plain.is_integer():
                return int(plain)
            return f"\\{plain}" if isinstance(plain, str) and plain.startswith("=") else plain
        case Items(items):
            return [_value(item) for item in items]
        case _:
            return f"= {spell(value)}"


def model_told(model: Model) -> Facets:
    return said(
        predict=spell(model.predict),
        within=duration_text(model.within_ms),
        every=duration_text(model.every_ms),
        features={name: spell(node) for name, node in model.features.items()},
        kind=model.kind,
        otherwise=model.otherwise,
    )


def script_told(script: ScriptDecl) -> Facets:
    timeout = f"{script.script.timeout_ms}ms" if script.script.timeout_ms else None
    changes = None if script.changes is None else script.changes.told()
    return said(code=script.script.source, takes=list(script.takes), timeout=timeout, changes=changes)


# --- journeys ----------------------------------------------------------------------------------------------------


def journey_told(journey: Journey) -> Facets:
    reentry = journey.reentry if journey.reentry != "after" else {"after": duration_text(journey.reentry_ms)}
    conditions = {
        "enter_when": journey.enter_when,
        "key": journey.key,
        "restart_when": journey.restart_when,
        "exit_when": journey.exit_when,
        "goal": journey.goal,
    }
    return {
        **{name: spell(node) for name, node in conditions.items() if node is not None},
        "reentry": reentry,
        "on_redeploy": journey.on_redeploy,
        "steps": [_step(step) for step in journey.steps.values()],
    }


def _step(step: JourneyStep) -> Facets:
    match step:
        case Do(id, then, to):
            return {"id": id, "do": actions_told(then), "then": _to(to)}
        case Wait(id, to):
            return {"id": id, "wait": _wait(step), "then": _to(to)}
        case Branch(id, cases, otherwise):
            told = [{"if": spell(when), "go": _to(to)} for when, to in cases]
            return {"id": id, "branch": [*told, {"else": _to(otherwise)}]}
        case Split(id, ways):
            told = [{"name": w.name, "weight": w.weight, "go": _to(w.next)} for w in ways]
            return {"id": id, "split": told, **said(winner=_contest(step.contest))}


def _contest(contest: Contest | None) -> Facets | None:
    return None if contest is None else {"within": duration_text(contest.within_ms), "certainty": contest.certainty}


def _to(step: str) -> str:
    return "end" if step == END else step


def _exactly(ms: int) -> str:
    """Not in days: those are of the calendar."""
    return f"{ms // UNITS['h']}h" if ms % UNITS["d"] == 0 else duration_text(ms)


def _wait(wait: Wait) -> Facets:
    lasts = f"{wait.days}d" if wait.days else _exactly(wait.for_ms) if wait.for_ms else None
    days = sorted(wait.local.weekdays) if wait.local is not None else []
    return {
        **said(**{"for": lasts}),
        **({"at": _value(wait.at)} if wait.at is not None else {}),
        **({"until_local": minute_text(wait.local.minute)} if wait.local is not None else {}),
        **said(on=[WEEKDAYS[day - 1] for day in days]),
        **({"until": spell(wait.until)} if wait.until is not None else {}),
    }


def form_told(form: Form) -> Facets:
    """The order of its fields says something."""
    fields = [
        {
            "trait": each.trait,
            "label": each.label,
            "type": each.kind,
            "required": each.required,
            "prefill": each.prefill,
            **said(options=list(each.options)),
        }
        for each in form.fields
    ]
    return {"ask": form.ask, "fact": form.fact, "fields": fields}


def sending_told(sending: Sending) -> Facets:
    """The order of channels says something, that of quiet hours and caps does not."""
    return said(
        channels=[{name: sorted(carries)} for name, carries in sending.channels.items()],
        quiet_hours=_sorted(
            {"from": minute_text(q.start), "to": minute_text(q.end), **said(purposes=sorted(q.purposes))}
            for q in sending.quiet
        ),
        caps=_sorted(
            {"max": c.max, "within": window_text(Window(c.ms, c.calendar)), **said(purposes=sorted(c.purposes))}
            for c in sending.caps
        ),
    )


def _sorted(items: Iterable[Facets]) -> list[Facets]:
    return sorted(items, key=repr)
