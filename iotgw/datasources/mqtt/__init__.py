"""Subscriptions at an MQTT broker."""
