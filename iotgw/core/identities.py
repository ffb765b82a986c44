"""What tells devices of network platforms apart, whatever people have called them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from iotgw.core.device_entry import same_eui
from iotgw.core.names import unfit

LONGEST = 255


def identity_key(identity: str) -> str:
    """An identity as it is compared: an EUI-64 in lower case without separators, and what is no text for a database by its hash."""
    if eui := same_eui(identity):
        return eui
    if len(identity) <= LONGEST and not unfit(identity):
        return identity
    return hashlib.sha256(identity.encode(errors="surrogatepass")).hexdigest()


def told_apart_by(identity: Any, dev_eui: Any) -> str:
    """What tells a device of a message apart: its DevEUI where there is one, as a platform may tell its devices apart only within an application.
    Both are JSON values; empty where there is neither."""
    if type(identity) is not str:
        identity = ""
    if type(dev_eui) is not str or not dev_eui or dev_eui == identity or same_eui(identity):
        return str(identity)
    return dev_eui


def sender_key(metadata: Mapping[str, Any]) -> str:
    """The same of a message's metadata, as it is compared."""
    return identity_key(told_apart_by(metadata.get("identity"), metadata.get("devEui")))
