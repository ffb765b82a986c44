"""Attacks on a running gateway, on loopback, while a well-behaved device sends: ``python -m tests.attacks``."""
