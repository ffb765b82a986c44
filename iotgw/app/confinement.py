"""Says at the start what confines converters' scripts, or that they don't run."""

from __future__ import annotations

from twisted.logger import Logger

from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.ports.converters import IConverters
from iotgw.core.ports.intake import Severity
from iotgw.core.recorder import Recorder

_log = Logger()


def tell_confinement(converters: IConverters, recorder: Recorder) -> None:
    """Write a log line and an event. The converters have started."""
    held = converters.status()["confinement"]
    severity: Severity = "info"
    text = f"converters are confined by {held['by']}"
    if held["refusal"]:
        severity, text = "error", held["refusal"]
        _log.error("{text}", text=text)
    elif not held["seccomp"]:
        severity, text = "warning", f"converters' scripts run with {held['by']} only, because {held['why']}"
        _log.warn("{text}", text=text)
    else:
        _log.info("{text}", text=text)
    recorder.note("confinement", "gateway", "converters", text, DEFAULT_TENANT, severity)
