"""Subscriptions to topics of a Kafka cluster."""
