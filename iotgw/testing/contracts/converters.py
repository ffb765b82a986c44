"""What any converter service does."""

from __future__ import annotations

from msgspec import structs

from iotgw.core.errors import SettingsError
from iotgw.core.model import Conversion, ConverterVersion, Job
from iotgw.core.ports.converters import IConverters
from iotgw.core.specs import ConverterSpec
from iotgw.core.times import DateMs
from iotgw.testing.contracts.base import Contract

READS_JSON = """
var data = JSON.parse(decodeToString(payload));
if (!data.deviceName) { return []; }
return {deviceName: data.deviceName, deviceType: "t", telemetry: {n: 1}};
"""
"""What a script of the suite does: it reads an output that is the payload already, and fails at what is no JSON."""
VERSION = ConverterVersion("suite", 1, "suite", "UPLINK", READS_JSON, "thingsboard-body", "duktape")


class ConvertersContract(Contract[IConverters]):
    """For `IConverters`."""

    def convert(self, *payloads: bytes) -> list[Conversion]:
        """What becomes of these, in order."""
        done: list[list[Conversion]] = []
        jobs = [Job(VERSION, payload, b"{}", DateMs(1000), seq) for seq, payload in enumerate(payloads, 1)]
        self.part.convert(jobs, done.append)
        self.until(lambda: done)
        (conversions,) = done
        return conversions

    def test_there_are_as_many_conversions_as_jobs_in_their_order(self) -> None:
        payloads = [b'{"deviceName":"d%d"}' % number for number in range(300)]
        names = [made.outputs[0].device_name for made in self.convert(*payloads)]
        assert names == [f"d{number}" for number in range(300)]

    def test_one_that_fails_says_why_and_keeps_nobody_else_from_being_converted(self) -> None:
        first, failed, last = self.convert(b'{"deviceName":"a"}', b"no json", b'{"deviceName":"b"}')
        assert failed.outputs == () and failed.error is not None and failed.error.message
        assert [made.outputs[0].device_name for made in (first, last)] == ["a", "b"]

    def test_no_output_and_no_error_is_filtered(self) -> None:
        (filtered,) = self.convert(b"{}")
        assert (filtered.outputs, filtered.error) == ((), None)

    def test_a_script_is_checked_and_gets_its_dialect_and_engine(self) -> None:
        good = ConverterSpec(name="c", script="function Decoder(payload) { return null; }")
        dialect, engine = self.wait(self.part.compile(good))
        assert dialect and engine in ("duktape", "quickjs")
        bad = ConverterSpec(name="c", script="this is no JavaScript {")
        self.raises(SettingsError, lambda: self.part.compile(bad))

    def test_what_a_version_may_say_is_what_its_text_names(self) -> None:
        assert self.part.says(VERSION) == frozenset()
        talks = structs.replace(
            VERSION, version=2, script="return {reply: {data: 'ok'}, session: {identity: 'd'}};"
        )
        assert self.part.says(talks) == {"reply", "session"}

    def test_a_trial_shows_the_outputs_or_the_error(self) -> None:
        good = self.wait(self.part.test(VERSION, b'{"deviceName":"d"}', {}, 1000))
        assert good["telemetry"][0]["deviceName"] == "d"
        assert not good.get("error")
        failed = self.wait(self.part.test(VERSION, b"no json", b"{}", 1000))
        assert failed["error"]["message"]
        assert {"telemetry", "logs", "warnings"} <= {*failed}

    def test_its_status_names_what_the_metrics_show(self) -> None:
        status = self.part.status()
        assert {"engines", "workers", "waiting", "suspended"} <= {*status}
        assert all({"name", "deaths"} <= {*worker} for worker in status["workers"])
        assert {"by", "seccomp", "landlock", "unconfined", "refusal", "why"} == {*status["confinement"]}
