"""One rule or one function at a time."""
