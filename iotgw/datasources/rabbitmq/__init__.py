"""Queues of a RabbitMQ broker."""
