"""What an operator sees: structured logs, the record of events, metrics."""
