"""The reactor's timers follow the gateway's time."""

from twisted.internet.base import ReactorBase
from twisted.internet.task import LoopingCall

from iotgw.app.clock import run_on
from iotgw.core.clock import GatewayClock


class Reactor(ReactorBase):
    """Twisted's, without anything to read."""

    def installWaker(self):
        pass


class World:
    def __init__(self):
        self.date = self.monotonic = 1_800_000_000.0
        self.reactor = Reactor()
        self.reactor.seconds = lambda: self.date
        self.called = []

    def pass_(self, seconds):
        self.date += seconds
        self.monotonic += seconds
        self.reactor.runUntilCurrent()

    def call_later(self, seconds):
        self.reactor.callLater(seconds, lambda: self.called.append(seconds))

    def run(self):
        run_on(self.reactor, GatewayClock(None, "", lambda: self.monotonic, lambda: self.date))


def test_a_timer_is_neither_late_nor_early_when_the_date_jumps():
    world = World()
    world.run()
    world.call_later(10)
    for jump in (-3600, 8 * 86_400):
        world.date += jump
        world.pass_(4)
        assert world.called == []
    world.pass_(3)
    assert world.called == [10]


def test_what_was_scheduled_before_keeps_its_distance():
    world = World()
    world.call_later(10)
    world.call_later(0)
    world.monotonic = 50.0
    world.run()
    world.pass_(0)
    assert world.called == [0]
    world.date -= 3600
    world.pass_(9.5)
    assert world.called == [0]
    world.pass_(1)
    assert world.called == [0, 10]


def test_a_loop_goes_on_at_its_pace():
    world = World()
    world.run()
    loop = LoopingCall(lambda: world.called.append("turn"))
    loop.clock = world.reactor
    loop.start(1.0, now=False)
    world.date -= 3600
    for _ in range(5):
        world.pass_(1.0)
    assert len(world.called) == 5
    loop.stop()


def test_the_reactor_sleeps_until_its_next_timer_by_the_same_time():
    world = World()
    world.run()
    world.call_later(10)
    world.date -= 3600
    world.reactor.runUntilCurrent()
    assert world.reactor.timeout() == 10
