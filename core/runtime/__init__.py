"""The only place that awaits the store."""
