"""A real integration passes the suite of any: `http` on loopback."""

from functools import cached_property

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Site

from iotgw.connect.endpoint import Connector
from iotgw.core.specs import IntegrationSpec
from iotgw.core.validate import convert
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
        settings = convert({"url": self.url, "batch": "array", "batchSize": 5}, type_.settings)
        target = type_.build(settings, self.context)
        self.wait(target.start())
        return target
