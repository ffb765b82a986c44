"""`iotgw.testing` under the names of this folder's tests."""

from __future__ import annotations

from iotgw.testing import START, FakeIntake, clock
from iotgw.testing import FakeTcpDevice as FakeDevice
from iotgw.testing import datasource_context as context

__all__ = ["START", "FakeDevice", "FakeIntake", "clock", "context"]
