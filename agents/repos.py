"""The repositories of team.yaml, checked: outside files/, where no agent can change what git obeys."""

from __future__ import annotations

import re
from pathlib import Path

from agents.checks import tools_of
from agents.findings import Findings
from agents.manifest import Document, Manifest
from agents.tools import programs
from agents.tools.git import GIT, MERGE

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def check_repos(document: Document[Manifest], workspace: Path, found: Findings) -> None:
    """They are there, and roles that use them can."""
    manifest = document.value
    if manifest is None:
        return

    def fail(what: str, expected: str, *path: str | int) -> None:
        found.fail(what, expected, file=document.file, line=document.line(*path))

    for name, path in manifest.repos.items():
        repo = workspace / path
        if not _NAME.fullmatch(name):
            fail(f"{name!r} cannot be a repository's name", "small letters, digits, - and _", "repos", name)
        if programs.is_writable_by_agents(workspace, repo):
            fail(f"{path} lies in files/, where agents write", "a repository elsewhere", "repos", name)
        elif not (repo / ".git").is_dir():
            fail(
                f"{path} is no git repository", "a folder with .git in it; paths start at the workspace", "repos", name
            )
    for n, row in enumerate(manifest.roles):
        tools = tools_of(row)
        if {GIT, MERGE} & set(tools) and not manifest.repos:
            fail(f"{row.id} has git and no repository", "repos: {NAME: PATH}", "roles", n, "tools", "allow")
        if MERGE in tools and not row.permissions.can_merge:
            line = document.line("roles", n, "tools", "allow")
            found.notice(f"{row.id} may not merge: can_merge is false", file=document.file, line=line)
