"""The ruleset of the run: it counts, notices disorder at the moment of deciding, sends, and issues."""

from __future__ import annotations

NAME = "chaos"
DOCUMENT = """\
apiVersion: overture/v1
kind: Ruleset
name: chaos
requires: {channels: [email, webhook]}
facts:
  tick: {n: int, say: string}
traits: {last_n: "int?"}
scores: {seen: {}, inversions: {}, gaps: {}}
rules:
  count:
    when: fact.type == "tick"
    then:
      - score: {name: seen, add: 1}
      - set: {last_n: "= fact.n"}
  out-of-order:
    when: fact.type == "tick" and fact.n <= contact.last_n
    then: [{score: {name: inversions, add: 1}}]
  gap:
    when: fact.type == "tick" and fact.n > contact.last_n + 1
    then: [{score: {name: gaps, add: 1}}]
  first:
    when: fact.type == "tick"
    once_per: contact
    then: [{issue: {kind: welcome}}]
  mail:
    when: fact.type == "tick" and fact.say == "email"
    then: [{send: {channel: email, template: note, purpose: transactional}}]
  hook:
    when: fact.type == "tick" and fact.say == "webhook"
    then: [{send: {channel: webhook, template: note, purpose: transactional, to: "http://127.0.0.1:HOOK_PORT/hook"}}]
templates:
  note: {subject: "Tick {{ fact.n }}", text: "fact={{ fact.id }};"}
"""


def document(hook_port: int) -> str:
    """The YAML text, with the webhook receiver's address in it."""
    return DOCUMENT.replace("HOOK_PORT", str(hook_port))
