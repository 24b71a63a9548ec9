"""The engine: knows no platform, no vendor, no driver."""
