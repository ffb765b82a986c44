"""Shows what becomes of test messages, for targets whose answer is no more than a verdict."""

from __future__ import annotations

from collections.abc import Sequence

from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.integrations import Settle, Show
from iotgw.core.verdict import Delivered, Verdict


def showing(show: Show, record: TelemetryRecord, request: str, taken: str, settle: Settle) -> Settle:
    """As ``settle``, but it also shows the request of a test message; ``taken`` says what it means that it was delivered."""

    def shown(seqs: Sequence[int], verdict: Verdict) -> None:
        answer = (verdict.response or taken) if isinstance(verdict, Delivered) else verdict.reason
        show(record, request, answer)
        settle(seqs, verdict)

    return shown


def text(content: bytes) -> str:
    """A payload as people read it: as text, or in hexadecimal where it is none."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.hex(" ")
