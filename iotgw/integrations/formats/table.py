"""The formats by their names: what they are called over HTTP, and how several bodies become one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from iotgw.integrations.formats import cloudevents, line_protocol, ngsi_ld, openmetrics, parquet, senml


class FormatBodies(Struct, frozen=True):
    """What is to be known of a format's bodies: their media type, alone and in an array. ``together`` makes one body of several, where the format has a
    way of its own. ``is_latest``: it says the latest of several times only. ``is_part``: what is made of a message is a body only by ``together``, also of
    one. ``is_closed``: a body has an end, so nothing can be added to one that is there. ``suffix`` is what names of files end with, where that follows
    from the format."""

    content_type: str = "application/json"
    array_type: str = "application/json"
    together: Callable[[Sequence[bytes]], bytes] | None = None
    is_latest: bool = False
    is_part: bool = False
    is_closed: bool = False
    suffix: str = ""

    def media_type(self, batch: str) -> str:
        """The media type of a body, or of a ``batch``: ``none``, ``array`` or ``ndjson``."""
        if self.together is not None or batch == "none":
            return self.content_type
        return self.array_type if batch == "array" else "application/x-ndjson"

    def joined(self, bodies: Sequence[bytes], batch: str) -> bytes:
        """One body of several."""
        if self.together is not None:
            return self.together(bodies)
        return b"[" + b",".join(bodies) + b"]" if batch == "array" else b"\n".join(bodies) + b"\n"


JSON = FormatBodies()
BODIES = {
    "line-protocol": FormatBodies(line_protocol.CONTENT_TYPE, together=line_protocol.together),
    "senml": FormatBodies(senml.CONTENT_TYPE, together=senml.together, is_closed=True),
    "ngsi-ld": FormatBodies(ngsi_ld.CONTENT_TYPE, ngsi_ld.CONTENT_TYPE, is_latest=True),
    "cloudevents": FormatBodies(cloudevents.CONTENT_TYPE, cloudevents.BATCH_TYPE),
    "openmetrics": FormatBodies(openmetrics.CONTENT_TYPE, together=openmetrics.together, is_closed=True),
    "parquet": FormatBodies(
        parquet.CONTENT_TYPE, together=parquet.file, is_part=True, is_closed=True, suffix=parquet.SUFFIX
    ),
}


def bodies_of(format_: str) -> FormatBodies:
    """What is to be known of a format's bodies."""
    return BODIES.get(format_, JSON)
