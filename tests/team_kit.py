"""A small workspace on disk, to be edited: three roles, one command, two people."""

from __future__ import annotations

from pathlib import Path

from agents.team import check
from tests.unit.test_team import MANIFEST, SOUL

DEV = "agents/dev/SOUL.md"
TEAM = "agents/team.yaml"


def made(place: Path) -> Path:
    agents = place / "agents"
    for role in ("ceo", "dev", "ops"):
        (agents / role).mkdir(parents=True)
        (agents / role / "SOUL.md").write_text(SOUL.replace("{id}", role))
        (agents / role / "CONSTITUTION.md").write_text("## Hard Rules\n1. Be honest.\n")
    (agents / "_shared").mkdir()
    (agents / "_shared" / "SAFETY.md").write_text("# Safety\n1. Be safe.\n")
    (agents / "team.yaml").write_text(MANIFEST)
    (place / "deploy.sh").write_text("#!/bin/sh\necho live\n")
    (place / "deploy.sh").chmod(0o755)
    return place


def edit(place: Path, old: str, new: str, file: str = TEAM) -> None:
    path = place / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def errors_of(place: Path) -> list[str]:
    return [str(error) for error in check(place)[0]]


def notices_of(place: Path) -> list[str]:
    errors, notices = check(place)
    assert errors == []
    return [str(notice) for notice in notices]


def tree(place: Path) -> dict[str, bytes]:
    """Every file people edit."""
    return {
        str(path.relative_to(place)): path.read_bytes()
        for path in sorted((place / "agents").rglob("*"))
        if path.is_file()
    }
