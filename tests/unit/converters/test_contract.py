"""The real converter service passes the suite of any, through its workers."""

import pytest

from iotgw.testing.contracts import ConvertersContract
from tests.unit.greenlets import BesideTheReactor, beside_the_reactor


@beside_the_reactor(ConvertersContract)
class TestConverterService(BesideTheReactor, ConvertersContract):
    @pytest.fixture(autouse=True)
    def running(self, service):
        self.service = service

    def open(self):
        return self.service
