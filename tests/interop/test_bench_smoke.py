"""The benchmarks themselves: they run, they count, and they see what is lost."""

import json
import math
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def tools():
    """The load generators and the sink, built."""
    if not shutil.which("cc"):
        if os.environ.get("CI") == "true":
            pytest.fail("there is no C compiler")
        pytest.skip("there is no C compiler")
    subprocess.run(["make", "-s", "-C", BENCHMARKS / "tools", f"OUT={BENCHMARKS / 'bin'}"], check=True)
    sys.path.insert(0, str(BENCHMARKS))
    from harness import tools

    yield tools
    sys.path.remove(str(BENCHMARKS))


def test_a_workload_runs_through_the_gateway_and_loses_nothing(tools, tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            BENCHMARKS / "run.py",
            "--smoke",
            "--only",
            "B,F",
            "--entries",
            "iotgw",
            "--results",
            tmp_path,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())["results"]
    for letter in "BF":
        (sample,) = results[letter]
        assert sample["messages"] > 0
        assert sample["missing"] == 0


SMALL = [
    "console.py --rounds 1 --devices 200 --messages 1000 --rows 100",
    "converters.py latency",
    "delivery.py --messages 200 --rounds 1 post mqtt batch thingsboard post+dead backlog",
    "devices.py --devices 300 --alone",
    "downlinks.py --rounds 1 --seconds 0.3 --items 200",
    "dtls/memory.py 20 psk",
    "dtls/resumption.py",
    "fanout.py --rounds 1",
    "history.py --messages 2000 --devices 100 --definitions 6 --rounds 1 --rate 50",
    "intake.py --rounds 1",
    "lwm2m.py 100",
    "lwm2m.py 100 --parts",
    "onlookers.py --rounds 1 --seconds 0.3",
    "presets.py --rounds 1 --uploads 20",
    "stream.py --rate 200 --seconds 1",
    "usage.py --rounds 1",
]


@pytest.mark.interop
@pytest.mark.parametrize("command", SMALL)
def test_a_benchmark_that_is_run_by_hand_runs(tools, command):
    """What it measures is nobody's business here: it ends, and prints something."""
    name, *arguments = command.split()
    done = subprocess.run(
        [sys.executable, BENCHMARKS / name, *arguments],
        cwd=BENCHMARKS.parent,
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and done.stdout, done.stdout + done.stderr


@pytest.mark.interop
def test_the_benchmark_of_queues_runs_and_loses_nothing(tools):
    command = [sys.executable, BENCHMARKS / "queues.py", "--smoke", "--messages", "200", "mqtt"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| mqtt |")]
    assert [(row[1], row[5], row[6]) for row in rows] == [("200", "0", "0 |")]


def test_a_message_that_the_target_never_got_is_counted_as_missing(tools, tmp_path):
    with tools.Sink(8, 64) as sink:
        acked = tmp_path / "acked"
        bits = bytearray(8 * 64 // 8)
        bits[3 * 64 // 8] = 0b110  # device 3, sequences 1 and 2
        acked.write_bytes(bits)
        with socket.create_connection(("127.0.0.1", sink.http)) as target:
            body = b'{"deviceName":"dev-3","telemetry":[{"values":{"seq":2}},{"values":{"seq":2}}]}'
            target.sendall(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            assert target.recv(100).startswith(b"HTTP/1.1 200")
        stats = sink.stats()
        assert (stats["unique"], stats["duplicates"]) == (1, 1)
        assert sink.missing(acked) == 1


def test_a_fleet_of_lwm2m_devices_registers_and_loses_nothing_over_a_kill():
    command = [
        sys.executable,
        BENCHMARKS / "lwm2m_fleet.py",
        "--devices",
        "20",
        "--rate",
        "100",
        "--rounds",
        "1",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = {line["step"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert (steps["storm"]["answered"], steps["storm"]["observed"]) == (20, 20)
    assert (steps["kill"]["acknowledged"], steps["kill"]["lost"]) == (20, 0)


def test_the_loader_reports_what_nobody_answered(tools):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        report = tools.load(
            "coapload", "-p", silent.getsockname()[1], "-n", 2, "-c", 2, "--ack-timeout", 0.5, "--max-retransmit", 1
        )  # fmt: skip
    assert report["answered"] == 0
    assert report["timeouts"] == 2
    assert report["retransmits"] == 2


def test_entries_that_were_not_measured_again_stay_with_the_run_that_they_are_of(tools, tmp_path):
    from harness.record import Record

    order = ["few", "many", "queued"]
    record = Record(tmp_path, keep=False)
    first = record.begin("I", {"commit": "one"}, order, is_whole=True)
    for name in order:
        first.add({"entry": name, "round": 0, "cpu_us": 1})
    record.write()
    record = Record(tmp_path, keep=True)
    record.begin("I", {"commit": "two"}, order, is_whole=False).add(
        {"entry": "many", "round": 0, "cpu_us": 2}
    )
    assert [(each["entry"], each["cpu_us"]) for each in record.results["I"]] == [
        ("few", 1),
        ("many", 2),
        ("queued", 1),
    ]
    assert [(run["commit"], run["entries"]) for run in record.runs["I"]] == [
        ("one", ["few", "queued"]),
        ("two", ["many"]),
    ]


def test_what_each_further_integration_costs_is_the_slope_between_the_ends_of_the_curve_in_each_round(tools):
    from harness.report import bars

    costs = {
        ("integrations 1", 0): 90,
        ("integrations 5", 0): 110,
        ("integrations 1", 1): 90,
        ("integrations 5", 1): 98,
    }
    samples = [{"entry": name, "round": number, "cpu_us": cost} for (name, number), cost in costs.items()]
    (bar,) = [each for each in bars({"I": samples}) if each.text.startswith("each further")]
    assert (bar.values, bar.value, bar.reached) == ((5, 2), 3.5, True)


def test_a_gateway_with_a_quarter_of_a_core_gets_no_more(tools):
    from workloads import small

    if why := small._no_quota():
        pytest.skip(why)
    busy = "import time; end = time.monotonic() + 1.5\nwhile time.monotonic() < end: pass\nprint(time.process_time())"
    with small.quota() as under:
        done = subprocess.run(
            [*under, sys.executable, "-c", busy], capture_output=True, text=True, check=True
        )
    assert float(done.stdout) < 1.0


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        (range(1, 6), (-math.inf, math.inf)),
        (range(1, 7), (1, 6)),
        (range(1, 21), (6, 15)),
        (range(1, 51), (18, 33)),
    ],
)
def test_the_interval_of_a_median_is_that_of_the_order_statistics(tools, ratios, expected):
    """As tables of the sign test have it (n = 6, 20 and 50 at 95 %)."""
    import paired

    assert paired.interval([*ratios][::-1]) == expected


@pytest.mark.parametrize(
    ("ratios", "status"),
    [
        ([1.04] * 20, 1),
        ([1.02] * 20, 0),
        ([1.02] * 6 + [1.2] * 14, 0),
        ([1.02] * 5 + [1.2] * 15, 1),
        ([2.0] * 5, 2),
        ([], 2),
    ],
)
def test_slower_is_what_lies_wholly_above_the_limit(tools, ratios, status):
    import paired

    assert paired.judged([paired.Pair(100.0, 100 * each) for each in ratios], 20, 1.03) == status
