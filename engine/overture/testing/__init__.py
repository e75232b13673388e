"""For the tests of people who write plugins or run Overture: real servers to talk to, and contracts to hold to."""

from overture.testing.contract import Peer, check_channel
from overture.testing.mail import MailServer, ReceivedMail
from overture.testing.webhooks import Answer, ReceivedRequest, WebhookReceiver

__all__ = ["Answer", "MailServer", "Peer", "ReceivedMail", "ReceivedRequest", "WebhookReceiver", "check_channel"]
