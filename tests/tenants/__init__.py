"""A gateway with two tenants, and a walk over its whole API as the one of them that should find nothing of the other."""
