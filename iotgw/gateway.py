"""The spine (being built)."""
