"""Collections of other people's converters, which stand in a folder of yours and are no part of this repository."""
