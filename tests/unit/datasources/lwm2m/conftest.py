import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from tests.unit.datasources.lwm2m.field import Field


@pytest.fixture
def field():
    made = Field()
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.close()))
