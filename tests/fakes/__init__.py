"""Chat platforms of our own, on real sockets: what the adapters are tested against."""
