"""What a Dragino frame says about itself and its device, as flat metadata for converters."""

from __future__ import annotations

from typing import Any

from iotgw.wire.dragino.frame import DraginoFrame
from iotgw.wire.dragino.layout import fitting


def metadata(frame: DraginoFrame, model: str = "") -> dict[str, Any]:
    """All that is common to the models. ``model`` is what the datasource's settings say the device is.

    Without that, ``deviceModel`` is set when the frame names it or only one known model's layout fits;
    when several fit, they are in ``deviceModelCandidates`` and ``deviceModel`` is missing.
    """
    facts: dict[str, Any] = {
        "vendor": "Dragino",
        "generation": frame.generation,
        "encoding": frame.encoding,
        "dataOffset": frame.data,
    }
    facts["imei" if len(frame.identity) == 15 else "deviceId"] = frame.identity
    if frame.imsi:
        facts["imsi"] = frame.imsi
    if frame.version is not None:
        code, firmware = frame.version >> 8, frame.version & 0xFF
        facts["version"] = frame.version
        facts["firmware"] = f"{firmware // 100}.{firmware // 10 % 10}.{firmware % 10}"
        if code:
            facts["modelCode"] = code
    if frame.battery is not None:
        facts["batteryVolts"] = frame.battery / 1000
    if frame.signal is not None:
        facts["csq"] = frame.signal
        if frame.signal <= 31:
            facts["rssiDbm"] = 2 * frame.signal - 113
    layouts = fitting(frame)
    if layouts and all(layout.generation == "G3" for layout in layouts):
        facts["generation"] = "G3"
    candidates = sorted({layout.model for layout in layouts})
    if frame.model:
        facts["productName"] = frame.model
    if frame.generation == "JSON":
        # the same model's binary and JSON frames want different converters
        facts["deviceModel"] = model or f"{frame.model} JSON".lstrip()
    elif model or frame.model:
        facts["deviceModel"] = model or frame.model
    elif len(candidates) == 1:
        facts["deviceModel"] = candidates[0]
        facts["deviceModelSource"] = "layout"
    elif candidates:
        facts["deviceModelCandidates"] = candidates
    return facts
