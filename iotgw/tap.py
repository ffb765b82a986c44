"""Puts the parts together (being built)."""
