"""Gateway time passes evenly, whatever is done to the machine's clock, and tells how old a date is."""

import msgspec
import pytest
from zope.interface.verify import verifyObject

from iotgw.core.clock import FLOOR_MS, GatewayClock, KeptClock, PlainCalendar, boot_id
from iotgw.core.ports.clock import ICalendar
from iotgw.testing.reactor import START, clock

HOUR, DAY = 3600, 86_400
NOW_MS = int(START * 1000)
IN_1970 = 300 - START


class Machine:
    """A machine whose clock is ``ahead`` seconds ahead. `reboot` begins its monotonic clock anew."""

    def __init__(self, ahead=0):
        self.boot = "first"
        self._since_boot = 1000.0
        self._true = START
        self.ahead = ahead
        self.kept = None
        self.start()

    def start(self):
        """The gateway starts with what it kept."""
        self.clock = GatewayClock(
            self.kept, self.boot, lambda: self._since_boot, lambda: self._true + self.ahead
        )
        self.calendar = self.clock.calendar

    def kill(self):
        """The gateway ends; what it kept last is what it knows."""
        self.kept = msgspec.json.decode(msgspec.json.encode(self.clock.state()), type=KeptClock)

    def pass_(self, seconds):
        self._since_boot += seconds
        self._true += seconds

    def reboot(self, off):
        self._true += off
        self._since_boot = 20.0
        self.boot += "'"

    def jump(self, seconds):
        self.ahead += seconds
        return self.clock.look()

    def now_ms(self):
        return round(self.clock.seconds() * 1000)

    def age(self, date_ms):
        """Seconds."""
        return (self.now_ms() - self.calendar.moment_ms(date_ms)) / 1000


def test_both_calendars_are_what_their_port_says():
    assert verifyObject(ICalendar, Machine().calendar)
    assert verifyObject(ICalendar, PlainCalendar(clock()))


def test_time_begins_with_the_date():
    machine = Machine()
    assert machine.now_ms() == machine.calendar.now_ms() == NOW_MS


@pytest.mark.parametrize("jump", [-HOUR, 8 * DAY, -10 * 365 * DAY, 2.0])
def test_a_jump_changes_the_date_and_nothing_else(jump):
    machine = Machine()
    received_ms = machine.calendar.now_ms()
    machine.pass_(60)
    said = machine.jump(jump)
    assert (said.from_ms, said.to_ms) == (NOW_MS + 60_000, NOW_MS + 60_000 + jump * 1000)
    assert machine.now_ms() == NOW_MS + 60_000
    assert machine.calendar.now_ms() == NOW_MS + 60_000 + jump * 1000
    assert machine.age(received_ms) == 60
    machine.pass_(600)
    assert machine.age(received_ms) == 660


def test_a_jump_is_told_once():
    machine = Machine()
    assert machine.jump(HOUR) is not None
    for _ in range(5):
        machine.pass_(1)
        assert machine.clock.look() is None


@pytest.mark.parametrize("by", [0.004, 0.9, -0.9])
def test_a_small_correction_is_followed_and_not_told(by):
    machine = Machine()
    machine.pass_(60)
    assert machine.jump(by) is None
    assert abs(machine.calendar.now_ms() - (NOW_MS + 60_000 + by * 1000)) < 5
    assert len(machine.clock.state().stretches) == 1


def test_until_somebody_looked_dates_go_on_as_before_the_jump():
    machine = Machine()
    machine.ahead = -HOUR
    machine.pass_(0.5)
    assert machine.calendar.now_ms() == NOW_MS + 500


def test_a_date_that_came_twice_is_taken_for_the_later_one_so_that_nothing_is_too_old():
    machine = Machine()
    machine.pass_(HOUR)
    received_ms = machine.calendar.now_ms()
    machine.jump(-HOUR)
    assert not machine.calendar.is_before(received_ms, NOW_MS)
    machine.pass_(2 * HOUR)
    assert machine.age(received_ms) == HOUR


def test_a_date_that_never_was_counts_from_the_jump_over_it():
    machine = Machine()
    machine.jump(DAY)
    machine.pass_(60)
    assert machine.age(NOW_MS + HOUR * 1000) == 60


def test_after_hours_of_jumping_to_and_fro_ages_are_still_right():
    machine = Machine()
    received = []
    for jump in (8 * DAY, -8 * DAY - HOUR, 2 * HOUR, 30 * DAY, -HOUR, -29 * DAY):
        received.append((machine.calendar.now_ms(), machine.now_ms()))
        machine.pass_(7)
        machine.jump(jump)
        machine.pass_(7)
    for date_ms, at_ms in received:
        assert machine.calendar.moment_ms(date_ms) >= at_ms, "never older than it is"
        assert machine.calendar.moment_ms(date_ms) <= machine.now_ms() + 2000


def test_a_clock_that_jumps_without_end_is_remembered_within_bounds():
    machine = Machine()
    for n in range(1000):
        machine.pass_(5)
        machine.jump(HOUR if n % 2 else -HOUR)
    assert len(machine.clock.state().stretches) == 200


@pytest.mark.parametrize("jump", [0, -HOUR, 8 * DAY, -20 * 365 * DAY])
def test_over_a_restart_of_the_gateway_time_passes_whatever_the_date_does(jump):
    machine = Machine()
    received_ms = machine.calendar.now_ms()
    machine.pass_(10)
    machine.kill()
    machine.pass_(50)
    machine.ahead += jump
    machine.start()
    assert machine.age(received_ms) == 60
    assert (machine.clock.jumped is not None) == bool(jump)
    assert machine.clock.look() is None, "told once"


def test_over_a_restart_of_the_machine_the_date_says_how_long_it_was_off():
    machine = Machine()
    received_ms = machine.calendar.now_ms()
    machine.kill()
    machine.reboot(off=DAY)
    machine.start()
    assert machine.age(received_ms) == DAY
    assert machine.clock.jumped is None


@pytest.mark.parametrize("ahead", [IN_1970, -HOUR, -DAY, 400 * DAY])
def test_a_date_that_can_t_be_believed_after_a_restart_of_the_machine_counts_as_no_time(ahead):
    machine = Machine()
    received_ms = machine.calendar.now_ms()
    machine.pass_(5)
    machine.kill()
    machine.reboot(off=60)
    machine.ahead = ahead
    machine.start()
    assert machine.age(received_ms) == 5
    assert machine.clock.jumped is not None
    machine.jump(-ahead)
    machine.pass_(30)
    assert machine.age(received_ms) == 35


def test_what_was_kept_by_a_run_whose_monotonic_clock_was_further_is_of_another_machine():
    machine = Machine()
    machine.pass_(1000)
    machine.kill()
    machine._since_boot = 5.0
    machine.start()
    assert machine.now_ms() == NOW_MS + 1_000_000


def test_dates_of_an_older_version_are_taken_for_times():
    machine = Machine()
    machine.kept = KeptClock.of_dates(NOW_MS - DAY * 1000)
    machine.start()
    assert machine.now_ms() == NOW_MS
    assert machine.age(NOW_MS - 2 * DAY * 1000) == 2 * DAY


def test_dates_in_1970_are_in_doubt_until_the_right_one_is_known():
    machine = Machine(IN_1970)
    assert machine.clock.is_wrong
    assert machine.now_ms() == FLOOR_MS
    early = machine.calendar.now_ms()
    assert machine.calendar.is_unsure(early)
    assert machine.calendar.mended_ms(early) == early
    machine.pass_(60)
    machine.jump(-IN_1970)
    assert not machine.clock.is_wrong
    assert machine.calendar.has_doubts
    assert machine.calendar.mended_ms(early) == NOW_MS
    assert not machine.calendar.is_unsure(NOW_MS), "the mended one"
    assert not machine.calendar.is_unsure(machine.calendar.now_ms())
    assert machine.age(early) == 60


def test_a_doubtful_date_is_mended_after_a_restart_of_the_gateway_too():
    machine = Machine(IN_1970)
    early = machine.calendar.now_ms()
    machine.kill()
    machine.pass_(60)
    machine.ahead = 0
    machine.start()
    assert machine.calendar.mended_ms(early) == NOW_MS


def test_a_doubtful_date_from_before_a_restart_of_the_machine_stays_in_doubt():
    machine = Machine(IN_1970)
    early = machine.calendar.now_ms()
    machine.pass_(60)
    machine.kill()
    machine.reboot(off=DAY)
    machine.ahead = 0
    machine.start()
    assert machine.calendar.is_unsure(early)
    assert machine.calendar.mended_ms(early) == early


def test_a_clock_that_is_set_forward_while_it_was_plausible_puts_nothing_in_doubt():
    machine = Machine()
    machine.jump(8 * DAY)
    assert not machine.calendar.has_doubts


def test_after_a_jump_back_a_date_comes_again_until_the_old_one_is_passed():
    machine = Machine()
    machine.pass_(10)
    assert not machine.calendar.comes_again(machine.calendar.now_ms())
    machine.jump(-HOUR)
    assert machine.calendar.comes_again(machine.calendar.now_ms())
    machine.pass_(HOUR)
    assert machine.calendar.comes_again(machine.calendar.now_ms())
    machine.pass_(1)
    assert not machine.calendar.comes_again(machine.calendar.now_ms())


def test_a_clock_that_is_read_slowly_is_read_again():
    """Else a pause between the two readings would look like a jump."""
    pauses = [0.0] * 4 + [3.0, 0.0] + [0.0] * 20
    now = [1000.0]

    def monotonic():
        now[0] += pauses.pop(0)
        return now[0]

    made = GatewayClock(None, "boot", monotonic, lambda: START + now[0] - 1000)
    assert made.look() is None


def test_this_machine_has_a_boot_id():
    assert boot_id() == boot_id() != ""
