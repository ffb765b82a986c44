"""Vendors' types of datasources: which envelope on which transport, with which settings. One file for each vendor.

A new vendor is an envelope in `iotgw.envelopes`, and a few lines here. What ``http`` and ``mqtt`` datasources offer by
name is in `iotgw.envelopes.presets`.
"""

from __future__ import annotations

from iotgw.datasources.vendors.azure import EventHubSourceType, IotHubSourceType
from iotgw.datasources.vendors.dragino import (
    DraginoCoapType,
    DraginoMqttType,
    DraginoType,
    DraginoUdpType,
)
from iotgw.datasources.vendors.lobaro import LobaroCoapType, LobaroUdpType
from iotgw.datasources.vendors.tekelek import TekelekType

TYPES = (
    TekelekType, DraginoType, DraginoUdpType, DraginoCoapType, DraginoMqttType, LobaroUdpType, LobaroCoapType,
    EventHubSourceType, IotHubSourceType,
)  # fmt: skip
"""Every vendor's types."""
