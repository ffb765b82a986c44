"""The options of a converter: what its user may set beside the script."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from iotgw.core.validate import convert


class DeviceTemplate(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How the result of a foreign dialect becomes a device and its telemetry.

    A name is text with places in braces: ``{metadata.imei}``, ``{data.serial}``; a place without a dot
    is looked for in the metadata, then in the data.
    """

    device_name: Annotated[str, Meta(description="The device's name; empty for the rule.")] = ""
    device_type: Annotated[str, Meta(description="Its type; empty for the rule.")] = ""
    customer_name: Annotated[str, Meta(description="Whose it is; empty for nobody in particular.")] = ""
    group_name: Annotated[str, Meta(description="The group it belongs to.")] = ""
    attributes: Annotated[
        list[str], Meta(description="Keys of the data that are attributes; the others are telemetry.")
    ] = []
    ts: Annotated[
        str, Meta(description="Key of the data that holds the time (number of ms, or ISO text).")
    ] = ""


class ConverterOptions(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a `iotgw.core.specs.ConverterSpec` may have in ``options``."""

    nested: Annotated[
        Literal["auto", "refuse", "flatten", "json"],
        Meta(
            description="Objects and lists as values: `refuse` them, `flatten` them to `a.b` and `a.0`, or "
            "keep them as `json` text. `auto` refuses in ThingsBoard's dialect and flattens in the others."
        ),
    ] = "auto"
    state: Annotated[
        bool, Meta(description="Keep properties and partial messages per device between messages.")
    ] = False
    update_only_keys: Annotated[
        list[str], Meta(description="Keys that are sent on only when their value has changed.")
    ] = []
    variables: Annotated[dict[str, Any], Meta(description="What a script finds as `input.variables`.")] = {}
    time_limit: Annotated[
        float,
        Meta(
            ge=0,
            le=60,
            description="CPU seconds that a call may take; 0 for what `[converters] time-limit` says.",
        ),
    ] = 0.0
    normalized: Annotated[
        bool, Meta(description="Take what `normalizeUplink` (TS013) makes of `decodeUplink`'s data.")
    ] = False
    template: Annotated[
        DeviceTemplate, Meta(description="How a foreign dialect's result becomes a device; see below.")
    ] = DeviceTemplate()


def read(options: dict[str, Any]) -> ConverterOptions:
    """Validate ``options``; raises SettingsError with the wrong one's path."""
    made: ConverterOptions = convert(options, ConverterOptions, "options")
    return made
