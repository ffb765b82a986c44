"""The journal and the registry on disk."""
