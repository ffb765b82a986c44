"""SSH's packets and its agreement on algorithms (RFC 4253), without I/O. Key exchange, log-in and channels are conch's."""
