"""Frozen data only."""
