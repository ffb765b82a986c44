"""What converters use is measured by their workers, and added up."""

from __future__ import annotations

import pytest
from pytest_twisted import ensureDeferred

from iotgw.converters import call_meter
from iotgw.converters.call_meter import CallMeter
from iotgw.converters.metering import ConverterMeter
from iotgw.core.model import Conversion, ConversionError, ConverterVersion
from iotgw.core.ports.usage import Amounts
from tests.unit.converters.conftest import convert, job, version

FINE, BAD = Conversion(), Conversion(error=ConversionError("boom"))


def test_a_converter_s_calls_are_measured_together(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([1.0, 4.0, 4.5])
    monkeypatch.setattr(call_meter, "process_time", lambda: next(looks))
    meter, results = CallMeter(), [FINE, BAD, BAD]
    meter.turn(7, [])
    meter.turn(8, results)
    meter.turn(-1, [*results, FINE])
    assert meter.spent == [(7, 3, 2, 3.0), (8, 1, 0, 0.5)]
    assert meter.number == -1


def named(id: str, number: int = 1) -> ConverterVersion:
    return ConverterVersion(id, number, id.upper(), "UPLINK", "", "thingsboard", "duktape")


def used(meter: ConverterMeter) -> dict[str, tuple[str, Amounts]]:
    return {tally.thing[2]: (tally.name, tally.amounts) for tally in meter.tallies()}


def test_versions_of_a_converter_add_up() -> None:
    meter = ConverterMeter()
    meter.enter(1, named("a"))
    meter.enter(2, named("a", 2))
    meter.enter(3, named("b"))
    meter.add([(1, 5, 1, 0.5), (2, 1, 0, 0.25), (3, 2, 2, 1.0)])
    meter.died(3, 0.25)
    assert used(meter) == {
        "a": ("A", Amounts(6, errors=1, cpu=0.75)),
        "b": ("B", Amounts(3, errors=3, cpu=1.25)),
    }


def test_a_converter_that_is_forgotten_is_told_of_once_more() -> None:
    meter = ConverterMeter()
    meter.enter(1, named("a"))
    meter.add([(1, 5, 0, 0.5)])
    meter.leave(1)
    meter.add([(1, 1, 0, 0.5)])
    assert used(meter) == {"a": ("A", Amounts(5, cpu=0.5))}
    assert used(meter) == {}
    meter.enter(2, named("a"))
    assert used(meter) == {"a": ("A", Amounts())}


@ensureDeferred
async def test_workers_say_what_calls_have_used(service: object) -> None:
    busy = version("for (var i = 0; i < 1e5; i++) {} return null;", id="busy")
    failing = version("throw new Error('no')", id="failing")
    before = {tally.thing: tally.amounts for tally in service.tallies()}  # type: ignore[attr-defined]
    await convert(service, *[job(busy)] * 3, *[job(failing)] * 2, job(busy))
    found = {
        tally.thing[2]: tally.amounts.since(before.get(tally.thing, Amounts()))
        for tally in service.tallies()  # type: ignore[attr-defined]
        if tally.thing[2] in ("busy", "failing")
    }
    assert (found["busy"].messages, found["busy"].errors) == (4, 0)
    assert (found["failing"].messages, found["failing"].errors) == (2, 2)
    assert found["busy"].cpu > 0
