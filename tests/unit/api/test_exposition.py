"""Figures as Prometheus reads them."""

from __future__ import annotations

from iotgw.api.exposition import Exposition, process


def test_samples_of_a_metric_stand_together_under_one_head() -> None:
    exposition = Exposition()
    exposition.counter("a_total", "About a", 1, name="x")
    exposition.gauge("b", "About b", 2.5)
    exposition.counter("a_total", "About a", 3, name="y")
    assert exposition.text().decode().splitlines() == [
        "# HELP a_total About a", "# TYPE a_total counter", 'a_total{name="x"} 1', 'a_total{name="y"} 3',
        "# HELP b About b", "# TYPE b gauge", "b 2.5",
    ]  # fmt: skip


def test_labels_are_escaped_and_missing_values_left_out() -> None:
    exposition = Exposition()
    exposition.gauge("a", "About", 1, name='say "hi"\\\n')
    exposition.gauge("b", "About", None)
    assert exposition.text().decode().splitlines()[2:] == ['a{name="say \\"hi\\"\\\\\\n"} 1']


def test_the_process_shows_its_memory_and_its_open_files() -> None:
    exposition = Exposition()
    process(exposition, 5.0)
    lines = dict(line.split(" ") for line in exposition.text().decode().splitlines() if line[0] != "#")
    assert int(lines["process_resident_memory_bytes"]) > 1 << 20
    assert int(lines["process_open_fds"]) > 2
    assert lines["process_start_time_seconds"] == "5.0"
