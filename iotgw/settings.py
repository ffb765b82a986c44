"""Process settings (being built)."""
