"""The way of an uplink: received, stored, converted, handed to delivery; and its reply."""
