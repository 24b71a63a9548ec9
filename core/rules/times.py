"""How often, for how long and for what else an approval is to hold, as people type it:
`for 3 times within 2 hours where site=docs, level=low|high because REASON`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_HOUR_MS: Final = 3_600_000
_BEGINS: Final = re.compile(r"for\s+\S+\s+times?\b", re.IGNORECASE)
_WHOLE: Final = re.compile(
    r"for\s+(?P<n>[1-9]\d{0,3})\s+times?\s+within\s+(?P<hours>\d{1,4}(?:\.\d{1,2})?)\s*(?:h|hours?)"
    r"(?:\s+where\s+(?P<where>.+?))?(?:\s+because\s+(?P<why>.+))?\s*",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was typed. `where`: argument and its other value, `*` for any that its schema lists."""

    count_n: int
    within_ms: int
    where: tuple[tuple[str, str], ...] = ()


def parse(text: str) -> tuple[Wanted | None, str] | None:
    """The bounds and the reason; without bounds all is the reason. None: it begins like bounds, and is none."""
    if not _BEGINS.match(text):
        return None, text
    found = _WHOLE.fullmatch(text)
    if found is None:
        return None
    where = []
    for part in filter(None, (one.strip() for one in (found["where"] or "").split(","))):
        name, equals, values = part.partition("=")
        if not equals or not name.strip() or not values.strip():
            return None
        where += [(name.strip(), value.strip()) for value in values.split("|")]
    within_ms = round(float(found["hours"]) * _HOUR_MS)
    return Wanted(count_n=int(found["n"]), within_ms=within_ms, where=tuple(where)), found["why"] or ""
