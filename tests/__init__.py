"""The tests: what each folder holds is told by its name."""
