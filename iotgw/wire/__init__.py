"""Sans-I/O protocol code: bytes in, events out; imports no Twisted, no clock, no socket."""
