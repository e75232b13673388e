"""Every key in the store, in one place.

Keys that change together carry the same tag ``{p}`` (the partition of the contact), so that one script can change them
all, also in a cluster. ``{ctl}`` tags what belongs to no contact: rulesets, API keys, heartbeats.
"""

from __future__ import annotations

META = "ov:{ctl}:meta"  # hash: format, partitions, listed (see `sweeps.list_known`)
API_KEYS = "ov:{ctl}:keys"  # hash: sha256 of the key → msgpack Grant
ACTIVE = "ov:{ctl}:active"  # the version of the active set of revisions
WORKERS = "ov:{ctl}:workers"  # zset: worker → heartbeat, ms (one per role: see heartbeats)
RULESETS = "ov:{ctl}:rulesets"  # set of ruleset names ever put
SECRETS = "ov:{ctl}:secrets"  # hash: name → random bytes: ``ledger`` keys the subjects of the consent ledger
LINK_KEYS = "ov:{ctl}:links"  # hash: number → random bytes: keys that sign the links in messages; the highest signs
PLACES = "ov:{ctl}:places"  # hash: source that fetches → the place it has reached
REFUSED = "ov:{ctl}:refused"  # list: facts of sources that were refused, newest first
ERASING = "ov:{ctl}:erasing"  # hash: contact → msgpack Erasure that is under way
ERASURES = "ov:{ctl}:erasures"  # list: msgpack Proof, oldest first: the chain of erasures that are done; names nobody
ERASURES_HEAD = "ov:{ctl}:erasures:head"  # msgpack (number of the last proof, its hash)
ERASURES_BY_ID = "ov:{ctl}:erasures:ids"  # hash: id of an erasure that is done → number of its proof
SUPPRESSED = "ov:{ctl}:suppressed"  # hash: keyed hash of an address that somebody erased had → why it gets nothing
ERASED = "ov:erased"  # pub/sub channel: contacts that have just been erased, for what processes remember
KEPT = "ov:kept"  # pub/sub channel: contacts for whose inbox something has just come
CLOCK = "ov:{ctl}:clock"  # stream of one entry: field ``ahead``, by how many ms the clock has been put ahead
CLOCK_TO = "ov:{ctl}:clock:to"  # while it is put ahead step by step: until when, ms
ARTEFACTS = "ov:{ctl}:artefacts"  # hash: digest → bytes (`overture.model.artefact`): those that an active set names
LEARNERS = "ov:{0}:learners"  # hash: model#edition → msgpack Learner; who holds partition 0 writes it
DECIDED = "ov:done:"  # + process: pub/sub channel for decisions that a process waits for


def rate(channel: str) -> str:
    """When the messages that left by a channel would have left evenly, ms."""
    return f"ov:{{ctl}}:rate:{channel}"


def turn(source: str) -> str:
    """Which process runs a source that fetches; expires."""
    return f"ov:{{ctl}}:turn:{source}"


def word(digest: str) -> str:
    """A digest of what came with a word that proves who calls, once; expires with the proof."""
    return f"ov:{{ctl}}:word:{digest}"


def active_set(version: int) -> str:
    """msgpack, `overture.state.registry.Activation`: one version of the active set; never changes once written."""
    return f"ov:{{ctl}}:set:{version}"


def revision(name: str, revision: str) -> str:
    """The text of one revision of a ruleset; never changes once written."""
    return f"ov:{{ctl}}:rev:{name}:{revision}"


def revisions(name: str) -> str:
    """zset: revision → when put, ms."""
    return f"ov:{{ctl}}:revs:{name}"


def heartbeats(role: str) -> str:
    return f"{WORKERS}:{role}"


def identity(p: int, derived: str) -> str:
    """The contact that took in the one which an identifier names by itself, ``email:…``; ``p`` is that one's."""
    return f"ov:{{{p}}}:id:{derived}"


def log(p: int) -> str:
    """stream: accepted facts; field ``f`` of an entry = msgpack array of facts."""
    return f"ov:{{{p}}}:in"


def seen(p: int) -> str:
    """+ generation: hash fact id digest → body digest, for dedupe."""
    return f"ov:{{{p}}}:i:"


def counters(p: int) -> str:
    """hash: accepted, decided: facts since the store was made."""
    return f"ov:{{{p}}}:n"


def checkpoint(p: int) -> str:
    """``entry id/facts of it already decided/program version``."""
    return f"ov:{{{p}}}:off"


def owner(p: int, role: str) -> str:
    """hash: worker, until (ms), epoch: the lease of one role (worker, delivery) on a partition."""
    return f"ov:{{{p}}}:own:{role}"


def contact(p: int, contact: str) -> str:
    return f"ov:{{{p}}}:c:{contact}"


def timeline(p: int, contact: str) -> str:
    """list, newest first, capped: msgpack Trace."""
    return f"ov:{{{p}}}:e:{contact}"


def positions(p: int) -> str:
    """hash: ``journey revision step`` → how many positions stand there."""
    return f"ov:{{{p}}}:at"


def funnel(p: int, journey: str) -> str:
    """hash: a cell (see `overture.state.funnel`) → how often."""
    return f"ov:{{{p}}}:fn:{journey}"


def examples(p: int, model: str) -> str:
    """stream, capped: field ``e`` of an entry = msgpack Outcome; ``model``: ``ruleset/model#edition``."""
    return f"ov:{{{p}}}:ex:{model}"


def choice(p: int, choice: str) -> str:
    """hash: a cell (see `overture.state.choices`) → how often."""
    return f"ov:{{{p}}}:ch:{choice}"


def forwards(p: int) -> str:
    """list: msgpack facts on their way to another contact's partition."""
    return f"ov:{{{p}}}:fwd"


def score(p: int, name: str) -> str:
    """zset: contact → place (`decay.place`), best first, with ties by contact id."""
    return f"ov:{{{p}}}:score:{name}"


def segment(p: int, name: str) -> str:
    """zset: contact → 0, so that order is by contact id."""
    return f"ov:{{{p}}}:seg:{name}"


def known(p: int) -> str:
    """zset: contact → 0, every contact of the partition, so that order is by contact id."""
    return f"ov:{{{p}}}:known"


def sweep(p: int) -> str:
    """How far a sweep has come: see `overture.state.sweeps`."""
    return f"ov:{{{p}}}:sweep"


def due(p: int) -> str:
    """zset: contact → when to look at it again with no fact, ms."""
    return f"ov:{{{p}}}:due"


def outbox(p: int) -> str:
    """zset: message id → when due, ms."""
    return f"ov:{{{p}}}:o"


def message(p: int, id: str) -> str:
    """msgpack Delivery."""
    return f"ov:{{{p}}}:m:{id}"


def messages_of(p: int, contact: str) -> str:
    """set: ids of all messages decided for a contact."""
    return f"ov:{{{p}}}:mc:{contact}"


def leaving(p: int) -> str:
    """set: contacts that are about to be erased: no hand-off of theirs begins any more."""
    return f"ov:{{{p}}}:leaving"


def purged(p: int) -> str:
    """hash: contact → msgpack Purged, while its erasure is under way."""
    return f"ov:{{{p}}}:purged"


def scrubs(p: int) -> str:
    """hash: contact → msgpack Scrub, while its erasure is under way."""
    return f"ov:{{{p}}}:scrubs"


def clicked(p: int, id: str) -> str:
    """Hash: digest of a link of a message -> when it was last followed (ms), and ``n``: how often it was opened or
    followed; gone after an hour without either.
    """
    return f"ov:{{{p}}}:clicked:{id}"


def inbox(p: int, contact: str) -> str:
    """zset: message id → place, the order of a contact's inbox."""
    return f"ov:{{{p}}}:ib:{contact}"


def inbox_items(p: int, contact: str) -> str:
    """hash: message id → msgpack Kept."""
    return f"ov:{{{p}}}:ibm:{contact}"


def inbox_reads(p: int, contact: str) -> str:
    """hash: message id → when it was read, ms."""
    return f"ov:{{{p}}}:ibr:{contact}"


INBOX = (inbox, inbox_items, inbox_reads)


def messages(p: int, state: str) -> str:
    """zset: message id → last change, ms; one per state."""
    return f"ov:{{{p}}}:ms:{state}"


def dead(p: int) -> str:
    """stream: facts that could not be decided; fields ``fact``, ``reason``."""
    return f"ov:{{{p}}}:dl"


def samples(p: int, rule: str, kind: str) -> str:
    """list, newest first, capped: msgpack Sample, of one rule and kind (fired, held_back, near_miss)."""
    return f"ov:{{{p}}}:rs:{rule}:{kind}"


def tries(p: int) -> str:
    """hash: a field for each lease under which the fact after the checkpoint was begun, while recovering."""
    return f"ov:{{{p}}}:try"


def ledger(p: int) -> str:
    """list: msgpack Link, oldest first: the chain of what contacts agreed to and took back."""
    return f"ov:{{{p}}}:ledger"


def ledger_head(p: int) -> str:
    """msgpack (number of the last link, its hash)."""
    return f"ov:{{{p}}}:ledger:head"


def ledger_details(p: int) -> str:
    """hash: number of a link → msgpack Detail; gone for contacts that were erased."""
    return f"ov:{{{p}}}:ledger:said"


def ledger_of(p: int, contact: str) -> str:
    """list: numbers of the links about a contact, oldest first."""
    return f"ov:{{{p}}}:cl:{contact}"


def standing(p: int, contact: str) -> str:
    """hash: channel and purpose → msgpack Standing, the newest link about it."""
    return f"ov:{{{p}}}:cs:{contact}"
