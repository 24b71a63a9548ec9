"""What a decision ends with that came too late."""

from __future__ import annotations


class StaleError(Exception):
    """A guard other than the task's version failed: somebody else has dealt with it. Nothing was written."""
