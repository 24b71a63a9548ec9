"""The whole engine in a seeded world with faults."""
