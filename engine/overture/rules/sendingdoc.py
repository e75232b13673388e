"""The sections ``sending`` and ``holdout``, read and checked."""

from __future__ import annotations

from overture.rules.durations import minute_of_day, window
from overture.rules.historic import LONGEST_WINDOW
from overture.rules.keys import CAP, CAP_LIMIT, QUIET, SENDING
from overture.rules.reading import NAME, Reading
from overture.rules.sending import Cap, Quiet, Sending
from overture.rules.yamltext import Mapping, Sequence, YamlNode


class SendingReader(Reading):
    """``sending.channels`` may name one that is not installed: the gate takes it for contacts that agreed to it."""

    def sending(self, root: Mapping) -> Sending | None:
        body = self.mapping(root.items.get("sending"), "sending")
        if body is None:
            return None
        self.keys(body, SENDING)
        quiet = [found for item in self.items(body, "quiet_hours") if (found := self.quiet(item))]
        caps = [found for item in self.items(body, "caps") if (found := self.cap(item))]
        return Sending(self.carriers(body.items.get("channels")), tuple(quiet), tuple(caps), root.keys["sending"].place)

    def carriers(self, node: YamlNode | None) -> dict[str, frozenset[str]]:
        found: dict[str, frozenset[str]] = {}
        for name, value, _ in self.entries(node, "sending.channels"):
            found[name] = frozenset(text.text for text in self.texts(value, "What a channel carries"))
        return found

    def quiet(self, node: Mapping) -> Quiet | None:
        if not self.keys(node, QUIET):
            return None
        start, end = (self.minute(node.items[name]) for name in ("from", "to"))
        purposes = self.purposes(node)
        if start is None or end is None:
            return None
        if start == end:
            self.report.add("sending.time", "Quiet hours end when they begin", node.keys["to"])
        return Quiet(start, end, purposes)

    def cap(self, node: Mapping) -> Cap | None:
        if not self.keys(node, CAP):
            return None
        most = self.whole(node.items["max"], "max", 1, CAP_LIMIT)
        purposes = self.purposes(node)
        text = self.text(node.items["within"], "within")
        over = window(text.text) if text else None
        if text and over is None:
            hint = "Write a duration such as 12h or 7d, or today, this week, this month."
            self.report.add("condition.duration", f"{text.text[:80]!r} is no window", text, hint)
        elif text and over and over.ms > LONGEST_WINDOW:
            message = "The window is longer than what a contact remembers"
            self.report.add("history.too_long", message, text, "At most two years (732d).")
        return Cap(most, purposes, over.ms, over.calendar) if most and over else None

    def holdout(self, node: YamlNode | None) -> int:
        return 0 if node is None else self.whole(node, "holdout", 0, 100) or 0

    def minute(self, node: YamlNode) -> int | None:
        text = self.text(node, "A time of day")
        found = minute_of_day(text.text) if text else None
        if text and found is None:
            self.report.add(
                "sending.time", f"{text.text[:80]!r} is not a time of day", text, 'Write "09:00" or "21:30".'
            )
        return found

    def purposes(self, node: Mapping) -> frozenset[str]:
        return frozenset(text.text for text in self.texts(node.items.get("purposes"), "Each of purposes", NAME))

    def items(self, body: Mapping, name: str) -> list[Mapping]:
        node = body.items.get(name)
        if node is None:
            return []
        if not isinstance(node, Sequence):
            self.report.add("ruleset.shape", f"{name} is a list", node, "Begin each with a dash.")
            return []
        return [found for item in node.items if (found := self.body(item, f"Each of {name}"))]
