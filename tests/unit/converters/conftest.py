"""One converter service for the tests of this folder: its workers cost a tenth of a second to start."""

from collections.abc import Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from iotgw.converters.service import ConverterService
from iotgw.core.model import Conversion, ConverterVersion, Job


@pytest.fixture(scope="session")
def service() -> Iterator[ConverterService]:
    made = ConverterService(reactor)
    pytest_twisted.blockon(made.start())
    yield made
    pytest_twisted.blockon(made.stop())


def version(script: str, **more: Any) -> ConverterVersion:
    # a busy machine may let a script wait for its turn longer than the 0.25 s that it has by default
    settings = {
        "dialect": "thingsboard-body",
        "engine": "duktape",
        "direction": "UPLINK",
        "time_limit": 10.0,
        **more,
    }
    id_ = settings.pop("id", f"c{abs(hash((script, repr(more))))}")
    return ConverterVersion(id=id_, version=1, name=id_, script=script, **settings)


def job(
    converter: ConverterVersion, payload: bytes = b"\x01\x02", metadata: bytes = b"{}", at: int = 1000
) -> Job:
    return Job(converter, payload, metadata, at)


def convert(service: ConverterService, *jobs: Job) -> Deferred[list[Conversion]]:
    done: Deferred[list[Conversion]] = Deferred()
    service.convert(list(jobs), done.callback)
    return done
