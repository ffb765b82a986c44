"""The path of an uplink: it is received, stored, converted, handed to delivery, and answered."""
