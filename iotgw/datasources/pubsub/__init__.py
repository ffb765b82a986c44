"""Subscriptions of Google Pub/Sub."""
