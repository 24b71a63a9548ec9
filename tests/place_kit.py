"""A workspace of three roles, written out here, so that tests of tools do not hang on what is shipped."""

from __future__ import annotations

from pathlib import Path

MANIFEST = """\
version: 1
team: {name: acme, zone: UTC, lead: ceo, preset: claude}
people:
  - {id: you, name: You, role: owner}
roles:
  - id: ceo
    reports_to: null
    tools: {allow: [delegate, ask_human, hand_off]}
  - id: developer
    reports_to: ceo
    tools: {allow: [read_file, list_files, hand_off, ask_human]}
  - id: devops
    reports_to: ceo
    tools: {allow: [write_file, list_files, run_command, hand_off, ask_human]}
    commands: [deploy, status]
    permissions: {can_deploy: true}
matrix:
  - {from: ceo, to: developer, kinds: [build], when: code}
  - {from: ceo, to: devops, kinds: [deploy], when: going live}
commands:
  deploy: {argv: [./deploy.sh]}
  status: {argv: [./deploy.sh], tier: read, effect: read}
"""
SOUL = """\
---
id: {id}
name: {name}
role: Worker
---

## Identity
I am.

## Core Responsibilities
- Work.

## Decision Principles
- Decide.

## Boundaries
None.

## Decision Authority
- Alone.

## Communication Style
Brief.
"""
TITLES = {"ceo": "CEO", "developer": "Developer", "devops": "DevOps"}


class Place:
    """The workspace, and how tests change it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.put("agents/team.yaml", MANIFEST)
        self.put("agents/_shared/SAFETY.md", "# Safety\n1. Be safe.\n")
        for role, title in TITLES.items():
            self.put(f"agents/{role}/SOUL.md", SOUL.format(id=role, name=title))
            self.put(f"agents/{role}/CONSTITUTION.md", "## Hard Rules\n1. Be honest.\n")
        self.put("deploy.sh", "#!/bin/sh\necho live\n").chmod(0o755)

    def put(self, path: str, text: str | bytes) -> Path:
        """Write a file, its folders too."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def edit(self, old: str, new: str, file: str = "agents/team.yaml") -> None:
        """Replace what is there, once."""
        path = self.root / file
        text = path.read_text()
        assert old in text, text
        path.write_text(text.replace(old, new, 1))
