"""Suites of `iotgw.testing.contracts` on the real reactor: each test waits while that goes on."""

import pytest_twisted
from greenlet import greenlet
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import deferLater


class BesideTheReactor:
    """Before a suite, for a part that works on the real reactor; its tests are made by `beside_the_reactor`."""

    def wait(self, result):
        return pytest_twisted.blockon(
            result if isinstance(result, Deferred) else Deferred.fromCoroutine(result)
        )

    def until(self, happened):
        while not happened():
            pytest_twisted.blockon(deferLater(reactor, 0.01))


def beside_the_reactor(suite):
    """A decorator of a class: runs the tests of a suite each in a greenlet of its own, as pytest-twisted's fixtures run."""

    def decorate(cls):
        for name in dir(suite):
            if name.startswith("test_"):
                setattr(cls, name, _in_a_greenlet(getattr(suite, name)))
        return cls

    return decorate


def _in_a_greenlet(test):
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
