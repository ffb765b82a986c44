"""The ports: what one room may ask of another, one file per room. Everything is called in the reactor's thread."""
