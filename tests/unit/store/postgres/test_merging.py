"""Lists of several partitions as one."""

from hypothesis import example, given
from hypothesis import strategies as st

from iotgw.core.message_query import FoundMessages
from iotgw.core.model import Message, State, Uplink
from iotgw.core.times import DateMs
from iotgw.store.postgres.merging import Lane, MergedMessages

LOOK = 7
"""Positions that one fetch looks at."""
LATER = 1 << 53
"""A time after all others: where nothing that was looked at has one, nothing is known."""


class Partition:
    """Messages at positions 1 and up: when each was received, or None where a search doesn't want it."""

    def __init__(self, times):
        self.times = times

    def fetch(self, before, limit):
        found, looked, at = [], 0, before
        while at > 1 and looked < LOOK and len(found) < limit:
            at, looked = at - 1, looked + 1
            if (received_ms := self.times[at - 1]) is not None:
                uplink = Uplink("t", "d", DateMs(received_ms), b"", b"")
                found.append(Message(at, uplink, State.CONVERTED, "", None, ()))
        noted = [each for each in self.times[at - 1 :] if each is not None]
        back_to = noted[0] if noted else LATER if at > 1 else 0
        return FoundMessages(found, at if at > 1 else 0, DateMs(back_to))


def leafed(partitions, limit):
    """All pages, and the positions where each went on."""
    places = {part: len(each.times) + 1 for part, each in partitions.items()}
    pages, seen = [], []
    while places:
        lanes = [Lane(part, before, partitions[part].fetch) for part, before in places.items()]
        page = MergedMessages(lanes, limit)
        assert len(page.found) <= limit
        assert page.befores != places, "it goes on"
        pages.append([(part, message.seq) for part, message in page.found])
        seen.append(page)
        places = page.befores
    return pages, seen


RISING = st.lists(st.none() | st.integers(1, 50), max_size=60).map(
    lambda times: [None if each is None else each + 50 * place for place, each in enumerate(times)]
)


@given(
    times=st.lists(st.lists(st.none() | st.integers(1, 50), max_size=60), min_size=1, max_size=5),
    limit=st.integers(1, 20),
)
def test_each_message_comes_once_and_in_the_order_of_its_partition(times, limit):
    partitions = {part: Partition(each) for part, each in enumerate(times, 1)}
    found = [each for page in leafed(partitions, limit)[0] for each in page]
    for part, each in partitions.items():
        wanted = [seq for seq, at in enumerate(each.times, 1) if at is not None]
        assert [seq for which, seq in found if which == part] == wanted[::-1]


@example([[1, *[None] * 10]], 1)
@given(times=st.lists(RISING, min_size=1, max_size=5), limit=st.integers(1, 20))
def test_messages_are_in_the_order_in_which_they_came_where_each_partition_has_them_so(times, limit):
    partitions = {part: Partition(each) for part, each in enumerate(times, 1)}
    pages, seen = leafed(partitions, limit)
    received = [partitions[part].times[seq - 1] for page in pages for part, seq in page]
    assert received == sorted(received, reverse=True)
    for at, page in enumerate(seen[:-1]):
        later = [partitions[part].times[seq - 1] for rest in pages[at + 1 :] for part, seq in rest]
        assert all(each < page.looked_back_to for each in later), "all since then has been looked at"
