"""Names of stored things: a position and the epoch in which it was given."""

import pytest

from iotgw.core.epochs import Epoch, Epochs, message_id
from iotgw.testing import telemetry


@pytest.fixture
def epochs():
    """Three epochs; nothing but telemetry came in the second one."""
    found = Epochs()
    found.begin([Epoch("a"), Epoch("b", 10, 20)], Epoch("c", 10, 30))
    return found


@pytest.mark.parametrize(("seq", "epoch"), [(1, "a"), (10, "a"), (11, "c"), (12, "c")])
def test_an_uplink_is_of_the_epoch_that_its_position_was_given_in(epochs, seq, epoch):
    assert epochs.of_uplink(seq) == epoch
    assert epochs.message_id(seq) == message_id(epochs, seq) == f"{epoch}-{seq}"
    assert epochs.position(f"{epoch}-{seq}") == seq


@pytest.mark.parametrize(("seq", "epoch"), [(1, "a"), (20, "a"), (21, "b"), (30, "b"), (31, "c")])
def test_telemetry_is_of_its_own_positions_epoch(epochs, seq, epoch):
    assert epochs.of_telemetry(seq) == epoch


def test_a_key_has_both_epochs_where_they_differ(epochs):
    assert epochs.key(telemetry(5, uplink=3)) == "a-3.5"
    assert epochs.key(telemetry(25, uplink=3)) == "a-3.b-25"
    assert epochs.key(telemetry(31, uplink=3)) == "a-3.c-31"
    assert epochs.key(telemetry(31, uplink=11)) == "c-11.31"


def test_an_event_is_of_its_records_epoch(epochs):
    assert (epochs.id_of(telemetry(25, uplink=0)), epochs.key(telemetry(25, uplink=0))) == ("b-0", "b-0.25")


def test_as_a_text_it_is_the_current_epoch(epochs):
    """Packages of others may have put `IntegrationContext.epoch`, which was a text, into names of their own."""
    assert f"{epochs}-5" == "c-5"


def test_a_trial_without_a_position_is_of_this_start(epochs):
    assert epochs.key(telemetry(-1, uplink=0)) == "c-0.-1"


@pytest.mark.parametrize("id", ["b-11", "a-11", "c-10", "x-1", "a-0", "c-0", "a", "", "a--1", "a-²", "-5"])
def test_an_id_that_is_none_of_the_journals_names_nothing(epochs, id):
    assert epochs.position(id) is None


def test_what_is_before_the_oldest_epoch_has_no_id():
    epochs = Epochs()
    epochs.begin([Epoch("b", 10, 20)], Epoch("c", 15, 30))
    assert epochs.position("b-10") is None
    assert epochs.position("b-11") == 11
