"""Structured logs, events and metrics."""
