"""Parts of topics and of topic filters."""

from __future__ import annotations

LONGEST_TOPIC = 65535
"""Bytes (MQTT 5.0 §1.5.4)."""
HEAD = 12
"""Maximum size of a PUBLISH besides topic and payload, in bytes."""


def unshared(filter_: str) -> str:
    """The filter of a shared subscription (MQTT 5.0 §4.8.2); another one as it is."""
    return filter_.split("/", 2)[-1] if filter_.startswith("$share/") else filter_


def at_level(topic: str, level: int) -> str:
    """A level of a topic, counted from 1; empty if the topic is shorter."""
    levels = topic.split("/")
    return levels[level - 1] if level <= len(levels) else ""
