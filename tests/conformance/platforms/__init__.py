"""Conformance: every adapter, the bot as a subprocess on real sockets, against fakes whose journals are believed."""
