"""For the tests of people who write plugins or run Overture: real servers to talk to, and contracts to hold to."""

from overture.testing.clock import VirtualClock
from overture.testing.contract import Peer, check_channel, check_receipt
from overture.testing.fakes import Emitted, RecordingEmit, RecordingInbox
from overture.testing.fetched import Feed, check_fetching
from overture.testing.mail import MailServer, ReceivedMail
from overture.testing.scorers import check_scorer, score_input
from overture.testing.server import OvertureServer
from overture.testing.sources import Caller, KeyedCaller, SignedCaller, check_source, incoming
from overture.testing.valid import check_facts
from overture.testing.webhooks import Answer, ReceivedRequest, WebhookReceiver

__all__ = [
    "Answer",
    "Caller",
    "Emitted",
    "Feed",
    "KeyedCaller",
    "MailServer",
    "OvertureServer",
    "Peer",
    "ReceivedMail",
    "ReceivedRequest",
    "RecordingEmit",
    "RecordingInbox",
    "SignedCaller",
    "VirtualClock",
    "WebhookReceiver",
    "check_channel",
    "check_facts",
    "check_fetching",
    "check_receipt",
    "check_scorer",
    "check_source",
    "incoming",
    "score_input",
]
