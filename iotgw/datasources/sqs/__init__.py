"""Queues of Amazon SQS."""
