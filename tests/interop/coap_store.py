"""A CoAP server as a program: prints its port, takes POSTs at ``/i`` until its standard input ends, then prints
what it has stored, in hexadecimal, a body per line."""

from __future__ import annotations

import sys

from twisted.internet import reactor, stdio
from twisted.internet.protocol import Protocol

from iotgw.datasources.coap.port import CoapPort
from iotgw.wire.coap.site import Site
from iotgw.wire.coap.timing import DEFAULT
from tests.unit.wire.coap.bench import Box


class UntilTheEnd(Protocol):
    def connectionLost(self, reason):
        reactor.stop()


port, site, box = CoapPort(reactor, 0, "127.0.0.1"), Site(), Box()
site.add(("i",), box)
port.add(dict(site), DEFAULT, discovery=box.policy)
print(port.address[1], flush=True)
stdio.StandardIO(UntilTheEnd())
reactor.run()
for request in box.requests:
    sys.stdout.write(request.payload.hex() + "\n")
