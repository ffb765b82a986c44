"""What a Dragino frame says about itself and its device, as flat metadata for converters."""

from __future__ import annotations

from typing import Any

from iotgw.wire.dragino.frame import DraginoFrame
from iotgw.wire.dragino.guess import Guesses, best, evidence
from iotgw.wire.dragino.layout import MODEL_CODES, Layout, fitting, model_code


def metadata(
    frame: DraginoFrame, model: str = "", default: str = "", guesses: Guesses | None = None
) -> dict[str, Any]:
    """The metadata that all models have in common.

    ``deviceModel`` is, in this order, ``model`` (this device's setting), the model that the frame names, the
    only model whose layout fits, or ``default`` (the setting for all devices that don't tell). If none of these
    gives a model but several layouts fit, it is the likeliest of their models. Then ``deviceModelGuessed`` is
    true, and ``deviceModelCandidates`` lists all of them, likeliest first.
    A frame whose version word has a model code that nobody knows has no model but these settings': ``deviceModelSource`` is then
    ``unknown``. One with a known code is of that model, whatever its length.
    ``guesses`` remembers devices, so that the same frames keep giving the same model.
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
    if frame.model:
        facts["productName"] = frame.model
    if frame.generation == "JSON":
        # a model's binary and JSON frames need different converters
        facts["deviceModel"] = f"{(model or frame.model or default).removesuffix(' JSON')} JSON".lstrip()
    elif model or frame.model:
        facts["deviceModel"] = model or frame.model
    layouts = fitting(frame)
    code = model_code(frame)
    if code and "deviceModel" not in facts and not layouts:
        facts |= _coded(code, default)
    elif layouts and "deviceModel" not in facts:
        facts |= _guess(frame, layouts, default, guesses)
    elif default:
        facts.setdefault("deviceModel", default)
    mine = [layout for layout in layouts if layout.model == facts.get("deviceModel")] or layouts
    if mine and all(layout.generation == "G3" for layout in mine):
        facts["generation"] = "G3"
    return facts


def _coded(code: int, default: str) -> dict[str, Any]:
    """The model of a frame that no layout fits, by its code. A known model's converter would read it wrongly."""
    if default:
        return {"deviceModel": default}
    name = MODEL_CODES.get(code)
    return {"deviceModelSource": "unknown", **({"productName": name} if name else {})}


def _guess(
    frame: DraginoFrame, layouts: tuple[Layout, ...], default: str, guesses: Guesses | None
) -> dict[str, Any]:
    """Which model it is, and how that is known."""
    says = evidence(frame, layouts)
    models = best(says) if guesses is None else guesses.models(frame.identity, says)
    if len(models) == 1:
        return {"deviceModel": models[0], "deviceModelSource": "layout"}
    if default:
        return {"deviceModel": default}
    return {"deviceModel": models[0], "deviceModelGuessed": True, "deviceModelCandidates": models}
