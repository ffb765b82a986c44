"""The REST API: Klein under ``/api/v1``. Handlers parse, call one part of the gateway, and return a value."""
