"""A real integration passes the suite of any: `http` on loopback."""

from functools import cached_property

import pytest
import pytest_twisted
from greenlet import greenlet
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.server import Site

from iotgw.connect.endpoint import Connector
from iotgw.core.specs import IntegrationSpec
from iotgw.core.validate import convert
from iotgw.integrations.http import HttpType
from iotgw.testing import integration_context
from iotgw.testing.contracts import IntegrationContract


class Takes(Resource):
    """Takes whatever comes."""

    isLeaf = True

    def render_OPTIONS(self, request):
        return b""

    def render_POST(self, request):
        return b"ok"


def beside_the_reactor(test):
    """A test that waits while the reactor goes on: in a greenlet of its own, as pytest-twisted's fixtures are."""

    @pytest_twisted.ensureDeferred
    async def run(self):
        done = Deferred()

        def body():
            result = maybeDeferred(test, self)
            reactor.callLater(0, result.chainDeferred, done)  # after this greenlet's end

        running = greenlet(body)
        running.switch()
        await done
        assert running.dead

    return run


class TestHttpTarget(IntegrationContract):
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

    def wait(self, result):
        return pytest_twisted.blockon(
            result if isinstance(result, Deferred) else Deferred.fromCoroutine(result)
        )

    def until(self, happened):
        while not happened():
            pytest_twisted.blockon(deferLater(reactor, 0.01))

    def open(self):
        type_ = HttpType(reactor, connector=Connector(reactor))
        settings = convert({"url": self.url, "batch": "array", "batchSize": 5}, type_.settings)
        target = type_.build(settings, self.context)
        self.wait(target.start())
        return target


for name in dir(IntegrationContract):
    if name.startswith("test_"):
        setattr(TestHttpTarget, name, beside_the_reactor(getattr(IntegrationContract, name)))
