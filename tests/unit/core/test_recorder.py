"""Events under the present time."""

from twisted.internet.task import Clock

from iotgw.core.model import Event
from iotgw.core.recorder import Recorder


class Heard:
    def __init__(self):
        self.all = []

    def emit(self, event):
        self.all.append(event)


def test_a_detail_may_be_called_like_what_an_event_has_anyway():
    heard, clock = Heard(), Clock()
    clock.advance(12.5)
    Recorder(heard, clock).note("made", "integration", "one", "text", "default", name="n", source="s")
    assert heard.all == [
        Event(12_500, "made", "integration", "one", "text", "default", detail={"name": "n", "source": "s"})
    ]
