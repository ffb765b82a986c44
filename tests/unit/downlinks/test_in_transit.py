"""Which items are on their way, and what that keeps them from."""

from iotgw.downlinks.in_transit import OFFER, InTransit


def test_an_item_that_a_datasource_took_is_free_when_it_was_spoken_of():
    way = InTransit()
    way.offer("a", 0.0)
    assert not way.is_free("a")
    way.back("a")
    assert way.is_free("a")


def test_an_offer_that_nobody_spoke_of_is_forgotten():
    way = InTransit()
    way.offer("a", 0.0)
    way.tidy(OFFER)
    assert way.is_offered("a")
    way.tidy(OFFER + 1)
    assert way.is_free("a")


def test_an_item_that_was_pushed_and_never_spoken_of_counts_as_pushed_no_more():
    way = InTransit()
    way.offer("a", 0.0)
    way.push(["a"])
    way.tidy(OFFER + 1)
    assert not way.was_pushed("a")


def test_an_item_that_two_hold_is_free_when_both_let_go():
    way = InTransit()
    way.hold(["a", "b"])
    way.hold(["a"])
    way.let_go(["a", "b"])
    assert way.is_held("a")
    assert way.is_free("b")
    way.let_go(["a"])
    assert way.is_free("a")
