"""A coap datasource behind DTLS whose intake stores at once; ends with its standard input.

    python benchmarks/dtls/server.py PORT psk|x509 FOLDER

FOLDER holds server.pem, server.key and ca.pem for x509. Prints `ready`.
"""

import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import ensureDeferred
from twisted.internet.protocol import Protocol
from twisted.internet.stdio import StandardIO

sys.path.insert(0, str(Path(__file__).parents[2]))

from iotgw.core.model import STORED
from tests.coaps_house import House, Intake


class Sink(Intake):
    def receive(self, payload, metadata, answer, *more, **named):
        answer(STORED)

    def event(self, type, message, severity="info", **detail):
        pass


class UntilEnd(Protocol):
    def connectionLost(self, reason):
        if reactor.running:
            reactor.stop()


async def main(port, kind, folder):
    house = House()
    house.intake = Sink
    house.registry.put("meter-*", secrets=[{"value": "secret"}])
    dtls = {"maxSessions": 100_000}
    if kind == "x509":
        dtls["x509"] = {
            "pem": {"certFile": f"{folder}/server.pem", "keyFile": f"{folder}/server.key"},
            "trustAnchors": [f"{folder}/ca.pem"],
        }
    await house.open(securePort=int(port), dtls=dtls)
    print("ready", flush=True)


if __name__ == "__main__":
    StandardIO(UntilEnd())
    ensureDeferred(main(*sys.argv[1:]))
    reactor.run()
