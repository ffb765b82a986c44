"""A process that writes to a journal until it is killed, and tells its parent what was acknowledged.

    python -m tests.interop.journal_child JOURNAL early|durable FIRST

On standard output, 9 bytes each: ``u`` and the number in an acknowledged uplink, ``o`` and the position of an
uplink whose outcome is durable. With ``early`` an uplink is acknowledged before it is committed.
"""

import os
import sys

from twisted.internet import reactor

from iotgw.core.model import Counters, Outcome, Output, Progress, State, Uplink
from iotgw.store.sqlite.journal import Journal

WINDOW = 500


def tell(kind, numbers):
    data = b"".join(kind + number.to_bytes(8, "big") for number in numbers)
    while data:
        data = data[os.write(1, data) :]


class Child:
    def __init__(self, path, early, first):
        self.journal = Journal(reactor, path)
        self.early, self.next = early, first

    def start(self):
        self.journal.start(self).addCallback(lambda _: self.more(WINDOW))

    def more(self, count):
        numbers = range(self.next, self.next + count)
        self.next += count
        for number in numbers:
            payload = number.to_bytes(8, "big") * (1 + number % 40)
            self.journal.append(Uplink("default", "ds", 1, payload, b"{}"), number)
        if self.early:
            tell(b"u", numbers)

    def storing(self, entries):
        pass

    def stored(self, entries):
        if not self.early:
            tell(b"u", [number for _, number in entries])
        outputs = (Output("dev", "default", b'{"telemetry":[]}'),)
        outcomes = [Outcome(stored.seq, State.CONVERTED, "c/1", outputs) for stored, _ in entries]
        self.journal.settle("ds", entries[-1][0].seq, outcomes)
        self.more(len(entries))

    def settled(self, outcomes, records):
        tell(b"o", [outcome.seq for outcome in outcomes])
        self.journal.progress(Progress("int", records[-1].seq, Counters(delivered=records[-1].seq)))

    def refused(self, entries, reason):
        raise SystemExit(reason)

    def room_again(self):
        pass


if __name__ == "__main__":
    path, mode, first = sys.argv[1:]
    reactor.callWhenRunning(Child(path, mode == "early", int(first)).start)
    reactor.run()
