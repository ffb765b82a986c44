"""The real delivery service passes the suite of any."""

from iotgw import testing
from iotgw.core.types import Types
from iotgw.delivery.service import DeliveryService
from iotgw.testing.contracts import DeliveriesContract


class TestDeliveryService(DeliveriesContract):
    def open(self):
        reactor = testing.MemoryReactor()
        types = Types("none", reactor, [lambda _: testing.FakeIntegrationType()])
        service = DeliveryService(testing.MemoryJournal(reactor), types, reactor, testing.MemoryEvents(), str)
        service.start()
        return service
