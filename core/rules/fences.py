"""The fences that tell a model where what it reads comes from. Text inside cannot end its fence, or begin another."""

from __future__ import annotations

import re
from typing import Literal

Fence = Literal["untrusted", "earlier", "memory", "so_far"]
_MARK = re.compile(r"<(?=\s*/?\s*(?:untrusted|earlier|memory|so_far)\b)", re.IGNORECASE)


def inert(text: str) -> str:
    """The text, in which nothing is a fence."""
    return _MARK.sub("(", text)


def fenced(fence: Fence, text: str) -> str:
    """The text in this fence."""
    return f"<{fence}>\n{inert(text)}\n</{fence}>"
