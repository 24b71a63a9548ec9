"""`SOUL.<env>.md`: what a role's soul says differently in one environment (SIGNOFF_ENV).

Law: an overlay is sections and nothing else. A section it names replaces the soul's, in its place; any other is added
at the end. What governs in no environment is checked all the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from agents.findings import Findings

ENV = re.compile(r"[a-z][a-z0-9-]{0,31}")
OVERLAY = re.compile(r"SOUL\.([^.]+)\.md")
_HEADING = re.compile(r"^##[ \t]+(.+?)[ \t#]*$", re.MULTILINE)


def environments_of(agents: Path, folders: Iterable[str]) -> tuple[str, ...]:
    """Every environment for which some role has words of its own."""
    paths = (path for folder in folders for path in (agents / folder).glob("SOUL.*.md"))
    found = (match[1] for path in paths if (match := OVERLAY.fullmatch(path.name)))
    return tuple(sorted({env for env in found if ENV.fullmatch(env)}))


def sections_of(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the first `##`, and each section by its title, heading included."""
    starts = [(match[1], match.start()) for match in _HEADING.finditer(text)]
    ends = [*(start for _, start in starts), len(text)]
    sections: dict[str, str] = {}
    for (title, start), end in zip(starts, ends[1:], strict=True):
        sections[title] = sections.get(title, "") + text[start:end]
    return text[: ends[0]], sections


def overlaid(soul: str, overlay: str) -> str:
    """The soul as it is in that environment."""
    before, sections = sections_of(soul)
    _, others = sections_of(overlay)
    merged = {**sections, **others}
    return "\n\n".join(part.strip() for part in (before, *merged.values()) if part.strip())


def check_overlay(text: str, file: str, required: Collection[str], found: Findings) -> None:
    """Whether it is sections, and empties none that a soul must have."""
    before, sections = sections_of(text)
    if before.strip():
        line = 1 + len(before) - len(before.lstrip("\n"))
        found.fail("text outside of a section", "headings `## Section` with what they say", file=file, line=line)
    if not sections:
        found.fail("it has no section", "`## Section`, as the soul has them", file=file, line=1)
    for title, section in sections.items():
        heading, _, body = section.partition("\n")
        if title in required and not body.strip():
            line = text[: text.index(heading)].count("\n") + 1
            found.fail(f"section {title} is empty", "at least one sentence", file=file, line=line)
