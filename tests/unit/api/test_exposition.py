"""Figures as Prometheus reads them."""

from __future__ import annotations

import pytest

from iotgw.api.exposition import Exposition, process
from iotgw.api.metric_table import METRICS, table
from iotgw.core.histogram import Histogram


def lines(exposition: Exposition) -> list[str]:
    return [line for line in exposition.text().decode().splitlines() if line[0] != "#"]


def test_samples_of_a_metric_stand_together_under_one_head() -> None:
    exposition = Exposition()
    exposition.add("iotgw_devices", 1, "x")
    exposition.add("iotgw_journal_room", 0)
    exposition.add("iotgw_devices", 3, "y")
    assert exposition.text().decode().splitlines() == [
        "# HELP iotgw_devices Devices that are known", "# TYPE iotgw_devices gauge",
        'iotgw_devices{tenant="x"} 1', 'iotgw_devices{tenant="y"} 3',
        "# HELP iotgw_journal_room Whether uplinks are taken", "# TYPE iotgw_journal_room gauge", "iotgw_journal_room 0",
    ]  # fmt: skip


def test_what_has_the_same_labels_is_added_up_or_the_largest_counts() -> None:
    exposition = Exposition()
    for value in (3, 5, 4):
        exposition.add("iotgw_deliveries_oldest_seconds", value, "t", "(others)")
        exposition.add("iotgw_devices", value, "t")
    assert lines(exposition) == [
        'iotgw_deliveries_oldest_seconds{tenant="t",integration="(others)"} 5', 'iotgw_devices{tenant="t"} 12',
    ]  # fmt: skip


def test_labels_are_escaped_and_missing_values_left_out() -> None:
    exposition = Exposition()
    exposition.add("iotgw_devices", 1, 'say "hi"\\\n')
    exposition.add("iotgw_journal_bytes", None)
    exposition.add("iotgw_refusals_total", 2, "", "", "api", "token")
    assert lines(exposition) == [
        'iotgw_devices{tenant="say \\"hi\\"\\\\\\n"} 1', 'iotgw_refusals_total{listener="api",reason="token"} 2',
    ]  # fmt: skip


def test_a_histogram_s_buckets_hold_all_below_them() -> None:
    histogram = Histogram((0.01, 0.1))
    histogram.add({5: 1, 10: 1, 11: 1, 7000: 1})
    exposition = Exposition()
    for _ in range(2):
        exposition.histogram("iotgw_durable_seconds", histogram, "t")
    assert lines(exposition) == [
        'iotgw_durable_seconds_bucket{tenant="t",le="0.01"} 4', 'iotgw_durable_seconds_bucket{tenant="t",le="0.1"} 6',
        'iotgw_durable_seconds_bucket{tenant="t",le="+Inf"} 8', 'iotgw_durable_seconds_sum{tenant="t"} 14.052',
        'iotgw_durable_seconds_count{tenant="t"} 8',
    ]  # fmt: skip


def test_a_metric_that_is_not_in_the_table_is_a_mistake() -> None:
    with pytest.raises(KeyError):
        Exposition().add("iotgw_made_up", 1)
    with pytest.raises(AssertionError):
        Exposition().add("iotgw_devices", 1)


def test_names_say_what_type_a_metric_is() -> None:
    for metric in METRICS.values():
        assert metric.name.endswith("_total") == (metric.type == "counter"), metric.name
        assert (metric.type != "histogram") or metric.name.endswith("_seconds")
        assert f"| `{metric.name}` | {metric.type} |" in table()


def test_the_process_shows_its_memory_and_its_open_files() -> None:
    exposition = Exposition()
    process(exposition, 5.0)
    figures = dict(line.split(" ") for line in lines(exposition))
    assert int(figures["process_resident_memory_bytes"]) > 1 << 20
    assert 2 < int(figures["process_open_fds"]) <= int(figures["process_max_fds"])
    assert figures["process_start_time_seconds"] == "5.0"
