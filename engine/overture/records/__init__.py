"""What was decided, read again: recorded facts in the order in which they were decided, and replaying them.

Live decisions are deterministic: a contact's state follows from its own facts, in their order, each decided by the
active set at its place in the log. So the past can be asked, exactly, for as long as the facts are there.
"""

from overture.records.past import Found, Past
from overture.records.recorded import Recorded, Recording
from overture.records.replay import Moment, Sight, replay

__all__ = ["Found", "Moment", "Past", "Recorded", "Recording", "Sight", "replay"]
