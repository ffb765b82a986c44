"""Vendors' types of datasources: which envelope on which transport, with which settings. One file for each vendor.

A new vendor is an envelope in `iotgw.envelopes`, and a few lines here. What ``http`` and ``mqtt`` datasources offer by
name is in `iotgw.envelopes.presets`.
"""

from __future__ import annotations

from collections.abc import Iterable

from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import IDatasourceType
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.coap.datasource import CoapType
from iotgw.datasources.vendors.dragino import (
    DraginoCoapType,
    DraginoMqttType,
    DraginoType,
    DraginoUdpType,
)
from iotgw.datasources.vendors.lobaro import LobaroCoapType, LobaroUdpType
from iotgw.datasources.vendors.tekelek import TekelekType


def types(reactor: IReactor, coap: CoapType, connector: IConnector) -> Iterable[IDatasourceType]:
    """Every vendor's types; those over CoAP share the ports of ``coap``, those at a broker go out by ``connector``."""
    yield TekelekType(reactor)
    yield DraginoType(reactor)
    yield DraginoUdpType(reactor)
    yield DraginoCoapType(reactor, coap)
    yield DraginoMqttType(reactor, connector)
    yield LobaroUdpType(reactor)
    yield LobaroCoapType(reactor, coap)
