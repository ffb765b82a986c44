"""The vocabulary of all rooms: model, errors, and the ports between the rooms."""
