"""The parts that store in PostgreSQL."""

from pathlib import Path

from iotgw import testing
from iotgw.core.clock import PlainCalendar
from iotgw.store.postgres.borrowed import BorrowedJournal
from iotgw.store.postgres.borrowed_writer import Borrower
from iotgw.store.postgres.connection import Address
from iotgw.store.postgres.converter_states import PostgresStates
from iotgw.store.postgres.debug import PostgresDebug
from iotgw.store.postgres.devices import PostgresDevices
from iotgw.store.postgres.downlinks import PostgresItems
from iotgw.store.postgres.entries import PostgresEntries
from iotgw.store.postgres.erasures import Erasures
from iotgw.store.postgres.events import PostgresEvents
from iotgw.store.postgres.everywhere import EveryPartition
from iotgw.store.postgres.journal import PostgresJournal
from iotgw.store.postgres.kept import PostgresKept
from iotgw.store.postgres.node import DatabaseNode
from iotgw.store.postgres.nodes import DatabaseNodes
from iotgw.store.postgres.orders import PostgresOrders
from iotgw.store.postgres.platform_names import PostgresPlatformNames
from iotgw.store.postgres.registry import PostgresRegistry
from iotgw.store.postgres.spill import Spill
from iotgw.store.postgres.spilling import SpillingJournal
from iotgw.store.postgres.usage import PostgresUsage

NOWHERE = Path("/nowhere")
DATABASE = Address("postgresql://192.0.2.1/none")


def in_postgres(reactor):
    """One of each; none is started."""
    return [
        PostgresJournal(reactor, DatabaseNode(reactor, DATABASE, NOWHERE)),
        SpillingJournal(
            reactor, DatabaseNode(reactor, DATABASE, NOWHERE), Spill(reactor, NOWHERE / "spill.db", 1)
        ),
        BorrowedJournal(reactor, Borrower(DATABASE, "node", 1, 5.0)),
        PostgresRegistry(reactor, DATABASE, NOWHERE),
        DatabaseNodes(reactor, DatabaseNode(reactor, DATABASE, NOWHERE)),
        PostgresEntries(PostgresRegistry(reactor, DATABASE, NOWHERE)),
        PostgresPlatformNames(PostgresRegistry(reactor, DATABASE, NOWHERE)),
        PostgresItems(DATABASE, reactor),
        PostgresDevices(reactor, DATABASE),
        PostgresKept(DATABASE, reactor),
        PostgresEvents(DATABASE),
        PostgresOrders(reactor, DATABASE, lambda: 1),
        PostgresUsage(DATABASE, reactor),
        PostgresDebug(DATABASE, reactor, 1),
        PostgresStates(reactor, DATABASE, PlainCalendar(reactor), 1, 1.0),
        Erasures(reactor, DATABASE),
        EveryPartition(
            reactor, DATABASE, testing.MemoryJournal(), lambda: 1, lambda: True, PlainCalendar(reactor)
        ),
    ]
