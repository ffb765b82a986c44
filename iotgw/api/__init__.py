"""The REST API: Klein under /api/v1."""
