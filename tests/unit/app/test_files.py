"""Running out of files and connections is said, once, and that it is over."""

from twisted.internet.task import Clock

from iotgw import testing
from iotgw.app.files import OpenFiles, limit, open_files
from iotgw.core.recorder import Recorder


def test_few_that_are_left_are_said_once_and_enough_again_too():
    events, used = testing.MemoryEvents(), [800]
    files = OpenFiles(Recorder(events, Clock()), Clock(), lambda: used[0], lambda: 1000)
    for number in (800, 901, 950, 850, 799, 790, 1000):
        used[0] = number
        files.look()
    assert events.types == ["files-few", "files-enough", "files-few"]
    assert (events.emitted[0].severity, events.emitted[0].detail) == ("error", {"used": 901, "most": 1000})


def test_the_system_tells_how_many_there_are():
    before = open_files()
    with open("/dev/null"):
        assert open_files() == before + 1
    assert limit() == 0 or limit() > before
