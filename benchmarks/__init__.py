"""Measures the engine against its targets, and against its peers on the same work."""
