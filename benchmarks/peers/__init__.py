"""Programs of their own: each runs in its peer's environment and imports nothing of ours."""
