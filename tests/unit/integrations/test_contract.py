"""A real integration passes the suite of any: `http` on loopback."""

from functools import cached_property

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Site

from iotgw.connect.endpoint import Connector
from iotgw.core.epochs import Epochs
from iotgw.core.specs import IntegrationSpec
from iotgw.core.validate import convert
from iotgw.delivery.accepted_parts import AcceptedParts
from iotgw.delivery.parted_target import PartedTarget
from iotgw.integrations.http import HttpType
from iotgw.testing import integration_context
from iotgw.testing.contracts import IntegrationContract
from tests.unit.greenlets import BesideTheReactor, beside_the_reactor


class Takes(Resource):
    """Takes whatever comes."""

    isLeaf = True

    def render_OPTIONS(self, request):
        return b""

    def render_POST(self, request):
        return b"ok"


@beside_the_reactor(IntegrationContract)
class TestHttpTarget(BesideTheReactor, IntegrationContract):
    batch = "array"

    @pytest.fixture(autouse=True)
    def server(self):
        port = reactor.listenTCP(0, Site(Takes()), interface="127.0.0.1")
        self.url = f"http://127.0.0.1:{port.getHost().port}/"
        yield
        self.teardown_method()
        pytest_twisted.blockon(port.stopListening())

    @cached_property
    def context(self):
        return integration_context(IntegrationSpec(name="out", type="http"), reactor)

    def open(self):
        type_ = HttpType(reactor, connector=Connector(reactor))
        settings = convert({"url": self.url, "batch": self.batch, "batchSize": 5}, type_.settings)
        target = type_.build(settings, self.context)
        self.wait(target.start())
        return target


@beside_the_reactor(IntegrationContract)
class TestPartedTarget(TestHttpTarget):
    """Records that are split are settled like others."""

    def open(self):
        key = Epochs("E").key
        return PartedTarget(
            super().open(), "value", ["telemetry"], AcceptedParts("", "value", reactor), key, reactor
        )


@beside_the_reactor(IntegrationContract)
class TestPartedTargetOfSingleParts(TestPartedTarget):
    """As above, where the target takes one part per request."""

    batch = "none"
