"""Devices that send on through the gateway's deaths: ``python -m tests.campaign.senders PLAN LEDGER``.

``PLAN`` is JSON: ports by name, the key of the devices that speak DTLS, devices of each kind, messages a second, and a
seed; perhaps the names of the ``sources`` that they speak to, and the ``first`` of the numbers of their messages. The devices are those of `iotgw simulate`, and so is the way in which each sends its message. A device whose message
is not acknowledged sends the same message again until it is. With SIGTERM they finish what they have begun, and leave.
"""

import itertools
import json
import random
import signal
import sys

from twisted.internet import reactor

from iotgw.simulate.coaps import Key
from iotgw.simulate.runner import KINDS, Summary, _tcp, _udp
from iotgw.wire.coap.message import decode

from .ledger import Ledger
from .sources import SOURCES, STEP, stored

BASE = 1_600_000_000_000
"""The time of the first reading, in milliseconds; see `STEP`."""
REFUSED = 0.2
"""Seconds until a device tries again."""
PATIENCE = {True: 5.0, False: 0.02}
"""Seconds to wait for an answer, where there is one and where there is none."""


class Sender:
    """One device; it is the `Device` that the runner lets speak, and the run that the runner tells of the end."""

    host = "127.0.0.1"

    def __init__(self, field, source, device, port):
        self.reactor = reactor
        self.summary = Summary()
        self.plan = self
        self.port = port
        self.identity = device.identity
        self._field = field
        self._source = source
        self._device = device
        self._speak = _udp if KINDS[source.name].is_udp else _tcp
        self._number = 0
        self._payload = b""
        self._said = b""

    def now_ms(self):
        return BASE + self._number * STEP

    def patience(self, _device):
        return PATIENCE[self._source.is_acknowledged]

    def begin(self):
        """The next message."""
        if self._field.is_over:
            self._field.finished(self)
            return
        self._number = next(self._field.numbers)
        self._payload = b""
        self._speak(self, self)

    def uplink(self, now_ms):
        """The first bytes of a message, or the same message again."""
        name, device = self._source.name, self._device
        if self._payload and name not in ("coaps", "mqtt"):
            return self._said
        said = device.uplink(now_ms)
        if name == "coaps":
            device._request = self._said = self._said if self._payload else device._request
            payload = decode(self._said).payload
        elif name == "mqtt":
            payload = device._reading = self._payload or device._reading
        else:
            self._said = said
            payload = said
            if name == "http":
                payload = said.partition(b"\r\n\r\n")[2]
            elif name.endswith("coap"):
                payload = decode(said).payload
        if not self._payload:
            self._payload = payload
            self._field.ledger.sent(name, self.identity, self._number, stored(self._source, payload))
        return said

    def received(self, data, now_ms):
        return self._device.received(data, now_ms)

    def ended(self, _device, answered, error=""):
        """It was sent, and acknowledged or not."""
        if answered and self._source.is_acknowledged:
            self._field.ledger.acknowledged(stored(self._source, self._payload))
        elif self._source.is_acknowledged or (error and not self._payload):
            reactor.callLater(REFUSED * random.uniform(0.5, 1.5), self._speak, self, self)
            return
        reactor.callLater(self._field.pause(), self.begin)


class Field:
    """All devices."""

    def __init__(self, plan, ledger):
        self.ledger = ledger
        self.is_over = False
        self.numbers = itertools.count(plan.get("first", 1))
        self._rate = plan["rate"]
        self._left = set()
        for index, source in enumerate(SOURCES.values()):
            if source.name not in plan.get("sources", SOURCES):
                continue
            for number in range(plan["devices"]):
                rng = random.Random(f"{plan['seed']} {index} {number}")
                kind = KINDS[source.name]
                more = {"path": source.path} if kind.has_path else {}
                if kind.has_key:
                    more["key"] = Key(plan["identity"], plan["secret"].encode())
                self._left.add(Sender(self, source, kind.make(rng, **more), plan["ports"][source.port]))

    def pause(self):
        return random.uniform(0.5, 1.5) * len(self._left) / self._rate

    def start(self):
        for sender in list(self._left):
            reactor.callLater(random.random() * 0.2, sender.begin)

    def finish(self, *_):
        self.is_over = True

    def finished(self, sender):
        self._left.discard(sender)
        if not self._left:
            self.ledger.close()
            reactor.stop()


def main(plan, path):
    field = Field(json.loads(plan), Ledger(path))
    signal.signal(signal.SIGTERM, field.finish)
    reactor.callWhenRunning(field.start)
    reactor.run(installSignalHandlers=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
