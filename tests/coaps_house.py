"""A coap datasource behind DTLS on a loopback port, with an intake that the test looks into."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue

from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.shared import SharedResources
from iotgw.core.validate import convert
from iotgw.datasources.coap.datasource import CoapType
from iotgw.datasources.coap.ports import CoapPorts
from iotgw.datasources.coap.settings import CoapSettings
from iotgw.devices.credentials import Credentials
from iotgw.store.certificates import CertificateDirectory
from iotgw.testing import FakeIntake
from tests.credential_registry import Registry
from tests.peers.process import find


class Intake(FakeIntake):
    """One whose events can be waited for."""

    def __init__(self):
        super().__init__()
        self._watching = []

    def event(self, type, message, severity="info", **detail):
        super().event(type, message, severity, **detail)
        watching, self._watching = self._watching, []
        for one in watching:
            one.callback(None)

    async def event_with(self, words):
        """The first event whose message has these words, once it is there."""
        while True:
            for _, message in self.events:
                if words in message:
                    return message
            watching = Deferred()
            self._watching.append(watching)
            await watching


class House:
    """Datasources of one type instance, each with an ``intake`` of its own."""

    intake = Intake

    def __init__(self):
        self.registry = Registry()
        self.credentials = Credentials(self.registry, lambda: int(reactor.seconds() * 1000))
        self.credentials.start()
        self.type = CoapType(reactor)
        self.shares = SharedResources(CoapPorts(reactor))
        self.datasources = []

    async def open(self, key="k", tenant="default", **settings):
        """A datasource behind DTLS: its intake."""
        configuration = {
            "interface": "127.0.0.1",
            "port": 0,
            "securePort": 0,
            "securityMode": "DTLS",
            **settings,
        }
        intake = self.intake()
        context = DatasourceContext(
            f"id-{key}",
            f"ds-{key}",
            tenant,
            key,
            {},
            intake,
            reactor,
            self.credentials,
            shares=self.shares,
            files=CertificateDirectory(reactor, Path("/")),
        )
        datasource = self.type.build(convert(configuration, CoapSettings), context)
        await datasource.start()
        intake.datasource = datasource
        self.datasources.append(datasource)
        return intake

    def uri(self, index=0, path="/i/k"):
        return f"coaps://127.0.0.1:{self.port(index).address[1]}{path}"

    def port(self, index=0):
        return self.datasources[index]._secure_ports()[0]

    async def close(self):
        for datasource in self.datasources:
            await datasource.stop()


async def run(command, *arguments):
    """Run a peer's program: its output and errors as one text, and its exit status.

    Its input is a line with a Q, which tells ``openssl s_client`` to leave.
    """
    out, err, status = await getProcessOutputAndValue(
        find(command), [str(argument) for argument in arguments], env=os.environ, stdinBytes=b"Q\n"
    )
    return (out + err).decode(errors="replace"), status
