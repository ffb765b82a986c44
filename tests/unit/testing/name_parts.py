"""The parts that know whose platforms' names are."""

from pathlib import Path

from iotgw import testing
from iotgw.core.platform_names import NamesAsTheyCome
from iotgw.devices.platform_names import PlatformNames
from iotgw.store.sqlite.platform_names import PlatformNameRows
from iotgw.store.sqlite.registry import Registry


def name_parts(reactor, fleet):
    """One of each; none is started."""
    return [
        NamesAsTheyCome(),
        PlatformNames(testing.MemoryPlatformNames(), fleet),
        PlatformNameRows(Registry(reactor, Path("/nowhere"))),
    ]
