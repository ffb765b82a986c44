"""What an HTTP target's answers say: as those of any HTTP server."""

from iotgw.connect.http_answers import excerpt, retry_after

__all__ = ["excerpt", "retry_after"]
