"""Known devices and what they prove themselves with."""
