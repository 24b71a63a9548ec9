"""How a team remembers, as its manifest says it: read, checked, and built."""

from __future__ import annotations

from agents.folders import Findings
from agents.manifest import Document, Manifest, MemoryRow
from core.model.memory import MemoryRule, Secrecy


def rule_of(row: MemoryRow) -> MemoryRule:
    """The rule as the engine knows it."""
    return MemoryRule(
        notes_hours=row.notes_hours,
        in_view_max=row.in_view_max,
        superseded_days=row.superseded_days,
        bulletin=row.bulletin,
        clearance={role: Secrecy(name) for role, name in row.clearance.items()},
    )


def check_memory(document: Document[Manifest], found: Findings) -> None:
    """Whoever is named is a role."""
    manifest = document.value
    if manifest is None:
        return
    known = {row.id for row in manifest.roles}
    named: list[tuple[str, str | int, str]] = [(role, n, "bulletin") for n, role in enumerate(manifest.memory.bulletin)]
    for role, at, key in (*named, *((role, role, "clearance") for role in manifest.memory.clearance)):
        if role not in known:
            line = document.line("memory", key, at)
            found.fail(f"unknown role {role}", f"one of: {', '.join(sorted(known))}", file=document.file, line=line)
