"""What every room says alike when it draws a view; a room's own catalogue has only what that room alone says."""

from __future__ import annotations

from typing import Final

AGENT: Final = "agent"
CHANGED: Final = "Changed"
RISKS: Final = "Risks"
NEXT: Final = "Needed next"
FILES: Final = "Files"
DEGRADED: Final = "Not whole"
INBOX: Final = "Waiting for a person"
INBOX_EMPTY: Final = "Nothing waits for you."
MEANS: Final = "That means"
NEXT_STEP: Final = "What happens next"
REMEDY: Final = "What you can do"
TROUBLE: Final = "Trouble"
SEPARATOR: Final = " · "
ENDED: Final = {
    "done": "done in",
    "failed": "failed after",
    "cancelled": "cancelled after",
    "rejected": "rejected after",
}


def more(n: int) -> str:
    """What did not fit in the list."""
    return f"… {n} more"


def and_more(n: int) -> str:
    """Branches or items that are not shown."""
    return f"and {n} more"


def steps(n: int) -> str:
    """How often a model was asked."""
    return "1 step" if n == 1 else f"{n} steps"


def roles(n: int) -> str:
    """How many roles worked."""
    return "1 role" if n == 1 else f"{n} roles"


def tokens(n: str) -> str:
    """What was read and written."""
    return f"{n} tokens"


def asks(name: str, text: str) -> str:
    """The message that stands for a typed command, so that its answers have a thread."""
    return f"{name} asks: {text}"
