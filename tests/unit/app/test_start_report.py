"""What the log says of datasources when the gateway has started."""

from types import SimpleNamespace

from twisted.logger import formatEvent, globalLogPublisher

from iotgw import testing
from iotgw.app import start_report
from iotgw.app.start_report import StartReport


def source(name):
    return SimpleNamespace(
        spec=SimpleNamespace(name=name), datasource=SimpleNamespace(status=lambda: {"address": f"at {name}"})
    )


def said(is_first, names=("open",)):
    registry = testing.MemoryRegistry()
    resource = testing.fired(registry.create("datasource", "default", "http", {"type": "http"}))
    pipeline = SimpleNamespace(
        status=lambda id: {"urls": ["/i/k"]} if id == resource.id else {},
        open_to_all=lambda: [(source(name), "its devices prove nothing") for name in names],
    )
    gateway = SimpleNamespace(registry=registry, pipeline=pipeline)
    report = StartReport(gateway, lambda: "http://127.0.0.1:8080", lambda: is_first)
    lines = []
    globalLogPublisher.addObserver(lines.append)
    try:
        report.startService()
    finally:
        globalLogPublisher.removeObserver(lines.append)
    return [(line["log_level"].name, formatEvent(line)) for line in lines]


def test_a_fresh_gateway_says_where_its_devices_send_to():
    assert said(True, ()) == [("info", "devices of datasource http send to http://127.0.0.1:8080/i/k")]


def test_open_listeners_are_named_with_what_to_do():
    ((level, line),) = said(False)
    assert level == "warn"
    assert line.startswith(
        "datasource open takes what anybody sends to at open: its devices prove nothing. Name the networks"
    )


def test_very_many_are_counted():
    lines = said(False, [f"d{number}" for number in range(start_report.MOST + 3)])
    assert len(lines) == start_report.MOST + 1
    assert lines[-1] == ("warn", "so do 3 more datasources")
