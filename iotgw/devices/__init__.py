"""Known devices and their credentials."""
