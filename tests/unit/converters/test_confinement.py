"""Where the kernel can't confine a worker, no script runs, unless the operator has said so."""

import os
import re
import sys

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor

from iotgw.app.confinement import tell_confinement
from iotgw.converters import landlock, sandbox
from iotgw.converters.service import ConverterService
from iotgw.core.clock import PlainCalendar
from iotgw.core.errors import ConversionFailed, Unavailable
from iotgw.core.recorder import Recorder
from iotgw.core.specs import ConverterSpec
from iotgw.testing.events import MemoryEvents
from tests.peers.kernels import NO_LANDLOCK, NO_SECCOMP, python_under
from tests.unit.converters.conftest import convert, job, version
from tests.unit.converters.test_sandbox import tried

GOOD = version("return {deviceName: 'd', deviceType: 't', telemetry: {a: payload[0]}};", id="good")
OURS = version(GOOD.script, id="ours", tenant="default")
THEIRS = version(GOOD.script, id="theirs", tenant="acme")


@pytest.fixture
def events():
    return MemoryEvents()


def told(service, events):
    tell_confinement(service, Recorder(events, PlainCalendar(reactor)))
    return events.emitted[-1]


@ensureDeferred
async def test_without_the_filter_no_tenant_s_script_runs(monkeypatch, tmp_path, events):
    monkeypatch.setattr(sys, "executable", python_under(tmp_path, NO_SECCOMP))
    service = ConverterService(reactor, workers=1)
    await service.start()
    try:
        made = await convert(service, job(OURS), job(THEIRS))
        assert [(one.error.name, one.outputs) for one in made] == [("Unconfined", ())] * 2
        reason = made[0].error.message
        assert "no script is run" in reason and "seccomp" in reason and "`unconfined = true`" in reason
        with pytest.raises(Unavailable, match="no script is run"):
            await service.compile(ConverterSpec(name="new", script=GOOD.script))
        with pytest.raises(Unavailable, match="no script is run"):
            await service.test(OURS, b"", b"{}", 0)
        with pytest.raises(ConversionFailed, match="no script is run"):
            await service.encode(version("return {};", direction="DOWNLINK"), {}, {}, "", {})
        assert not any(worker["pid"] for worker in service.status()["workers"])  # none was even made
        assert service.status()["confinement"]["refusal"] == reason
        event = told(service, events)
        assert (event.type, event.severity, event.message) == ("confinement", "error", reason)
    finally:
        await service.stop()


@ensureDeferred
async def test_an_operator_may_run_scripts_without_the_filter_and_is_told(monkeypatch, tmp_path, events):
    monkeypatch.setattr(sys, "executable", python_under(tmp_path, NO_SECCOMP))
    service = ConverterService(reactor, workers=1, is_unconfined=True)
    await service.start()
    try:
        (made,) = await convert(service, job(THEIRS))
        assert made.error is None and made.outputs
        held = service.status()["confinement"]
        assert (held["seccomp"], held["unconfined"], held["refusal"]) == (False, True, "")
        event = told(service, events)
        assert event.severity == "warning" and "the kernel or its container refuses" in event.message
    finally:
        await service.stop()


@ensureDeferred
async def test_the_filter_alone_is_enough(monkeypatch, tmp_path, events):
    monkeypatch.setattr(sys, "executable", python_under(tmp_path, NO_LANDLOCK))
    service = ConverterService(reactor, workers=1)
    await service.start()
    try:
        assert (await convert(service, job(THEIRS)))[0].outputs
        held = service.status()["confinement"]
        assert (held["seccomp"], held["landlock"], held["refusal"]) == (True, 0, "")
        event = told(service, events)
        assert (event.severity, event.message) == (
            "info", "converters are confined by a seccomp filter, resource limits",
        )  # fmt: skip
    finally:
        await service.stop()


@ensureDeferred
async def test_where_both_walls_stand_both_are_told(service, events):
    held = service.status()["confinement"]
    assert held["seccomp"]
    assert re.fullmatch(r"a seccomp filter(, Landlock \(ABI \d+\))?, resource limits", held["by"])
    assert (told(service, events)).message == f"converters are confined by {held['by']}"


def test_a_machine_without_a_table_has_no_filter():
    assert "no seccomp filter for this machine" in sandbox._filter(0x80000016)


def test_a_limit_below_ours_is_kept():
    def limited():
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        sandbox.lock_down(1 << 40)

    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            limited()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize(
    "action",
    [
        lambda: os.open("/etc/hostname", os.O_RDONLY),
        lambda: os.mkdir("/tmp/iotgw-not-made"),
        lambda: os.listdir("/"),
        lambda: os.execv("/bin/true", ["true"]),
    ],
    ids=["open", "mkdir", "list", "exec"],
)
def test_landlock_alone_keeps_files_out_of_reach(action):
    if not sandbox.probe(256 << 20).landlock:
        pytest.skip("this kernel has no Landlock")

    def locked():
        sandbox._libc().prctl(38, 1, 0, 0, 0)
        assert landlock.restrict()
        action()

    assert tried(locked, lock_down=False) == "OSError 13"


@pytest.mark.parametrize(
    ("abi", "rights"),
    [(1, (0x1FFF,)), (2, (0x3FFF,)), (3, (0x7FFF,)), (4, (0x7FFF, 3)), (5, (0xFFFF, 3)), (6, (0xFFFF, 3, 3)),
     (9, (0xFFFF, 3, 3))],
)  # fmt: skip
def test_landlock_s_rules_have_every_right_that_the_kernel_knows(abi, rights):
    assert landlock.ruleset(abi) == b"".join(right.to_bytes(8, sys.byteorder) for right in rights)
