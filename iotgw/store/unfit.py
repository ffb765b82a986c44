"""Values that no database accepts, or that nobody could read back: lone surrogates in a text, JSON that isn't UTF-8,
numbers beyond 64 bits, a str where bytes belong.

They are looked for only after a commit failed because of one. Records with such values are taken out of their group,
so that they can't hold up the rest, nor return with the next attempt.
"""

from __future__ import annotations

from msgspec.structs import replace

from iotgw.core.model import ConversionError, Outcome, Output, State, TelemetryRecord, Uplink
from iotgw.core.ports.journal import Entries
from iotgw.store.group import Advance, Group, SettledUplinks


def take_out(group: Group) -> Entries:
    """Repair a group. Returns the uplinks that can't be stored, which are removed from it.

    A conversion whose output can't be stored becomes a failed one; an event that can't be stored is dropped.
    """
    bad = [entry for entry in group.entries if not _uplink_fits(entry[0].uplink)]
    if bad:
        group.entries = [entry for entry in group.entries if _uplink_fits(entry[0].uplink)]
    results: list[SettledUplinks | TelemetryRecord] = []
    for item in group.results:
        if isinstance(item, SettledUplinks):
            results.append(replace(item, outcomes=[_mended(outcome) for outcome in item.outcomes]))
        elif _record_fits(item):
            results.append(item)
    group.results = results
    for advance in group.progress.values():
        _mend_errors(advance)
    return bad


def _mended(outcome: Outcome) -> Outcome:
    if _text_fits(outcome.converter) and all(_output_fits(output) for output in outcome.outputs):
        return outcome
    error = ConversionError(
        "expected valid Unicode in the output, got a lone surrogate or bytes that are no UTF-8", stage="store"
    )
    return replace(outcome, state=State.FAILED, converter=_plain(outcome.converter), outputs=(), error=error)


def _mend_errors(advance: Advance) -> None:
    for seq, parked in advance.parked.items():
        advance.parked[seq] = replace(parked, error=_plain(parked.error))


def _uplink_fits(uplink: Uplink) -> bool:
    return (
        _text_fits(uplink.tenant)
        and _text_fits(uplink.datasource)
        and _number_fits(uplink.received_ms)
        and isinstance(uplink.payload, bytes)
        and _json_fits(uplink.metadata)
    )


def _output_fits(output: Output) -> bool:
    return _text_fits(output.device_name) and _text_fits(output.device_type) and _json_fits(output.body)


def _record_fits(record: TelemetryRecord) -> bool:
    return (
        _text_fits(record.tenant)
        and _text_fits(record.datasource)
        and _text_fits(record.device_name)
        and _text_fits(record.device_type)
        and _number_fits(record.received_ms)
        and _json_fits(record.body)
    )


def _text_fits(text: object) -> bool:
    return isinstance(text, str) and _plain(text) == text


def _json_fits(text: object) -> bool:
    try:
        return isinstance(text, bytes) and bool(text.decode())
    except UnicodeDecodeError:
        return False


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _number_fits(number: object) -> bool:
    return isinstance(number, int) and -(1 << 63) <= number < 1 << 63
