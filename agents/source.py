"""The team of a workspace as the engine sees it: what its files say, and what of that is in force.

Law: what is in force changes only by `adopt` and `reload`, so that a half-saved file stops nothing that runs. Where the
policy wants changes approved, what was in force when the workspace was last open is in force again, whatever the files
have become meanwhile.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from agents.compare import edition_diff
from agents.manifest import BYTES_MAX
from agents.team import FILE, TeamErrors, load_edition
from agents.versions import Versions, row_texts
from core.model.editions import Edition
from core.model.ids import TaskId
from core.model.team import Team
from core.ports import Drafts, TeamSource

WATCHED = ("agents", "skills", "tools", ".mcp.json", ".signoff/mcp")
"""What a definition is made from, below the workspace."""


class FileTeamSource(TeamSource, Drafts):
    """Files, read when asked. Nothing here waits: callers read in a thread."""

    def __init__(self, workspace: Path, *, environ: Mapping[str, str], held: Edition | None = None) -> None:
        """Read them. `held`: what was in force last. Raises TeamErrors, unless that governs still."""
        self._workspace = workspace
        self._environ = dict(environ)
        self.versions = Versions(workspace)
        self._read: Team | None = None  # what the files said last, without the pins
        self._rows: dict[str, str] = {}
        self._read_at = ""
        keeps = held is not None and held.team.policy.changes is not None
        self._draft: Edition | None = None  # what they said last, with them
        self._edition = held if held is not None and keeps else self.draft()
        if keeps:
            with contextlib.suppress(TeamErrors):  # whoever looks at the files while it runs says what is wrong
                self.draft()

    # --- As the engine sees it ----------------------------------------------------------------------------------------

    def current(self) -> Team:
        """The newest that is valid."""
        return self._edition.team

    def of(self, root: TaskId) -> Team:
        """The one that a new request works by."""
        return self._edition.of(root)

    def parse(self, blob: bytes) -> Team:
        """A stored one: what `encode` made."""
        return msgspec.json.decode(blob, type=Team)

    # --- As people edit it --------------------------------------------------------------------------------------------

    def edition(self) -> Edition:
        """What is in force."""
        return self._edition

    def stamp(self) -> str:
        """Names, sizes and times of all that is watched."""
        digest = hashlib.sha256()
        for name in WATCHED:
            _stat(self._workspace / name, digest.update)
        return digest.hexdigest()

    def read_at(self) -> str:
        """The stamp of what is in force; "" while the files said something else when they were read last."""
        same = self._draft is not None and self._draft.version == self._edition.version
        return self._read_at if same else ""

    def draft(self) -> Edition:
        """What the files say now. Raises TeamErrors."""
        stamp = self.stamp()
        team, edition = load_edition(self._workspace, environ=self._environ)
        self._rows = row_texts(_text(self._workspace / FILE))
        self._read, self._draft, self._read_at = team, edition, stamp
        return edition

    def adopt(self, edition: Edition) -> None:
        """It is in force from now on."""
        self._edition = edition

    def reload(self) -> Team:
        """Read the files again, and put in force what they say. Raises TeamErrors, and then the old team stays."""
        self._edition = self.draft()
        return self._edition.team

    def diff(self, before: Edition, after: Edition) -> str:
        """Everything in which they differ."""
        return edition_diff(before, after)

    def files_team(self) -> Team | None:
        """What the role files said when they were read last, pinned or not; None for what never loaded."""
        return self._read

    def keep(self, at_ms: int) -> None:
        """Keep each role's version with its files."""
        if self._read is not None:
            self.versions.keep(self._read, self._rows, at_ms)


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[:BYTES_MAX].decode("utf-8", "replace")
    except OSError:
        return ""


def _stat(path: Path, update: Callable[[bytes], object]) -> None:
    """One line for each file below, in the order of their names; what vanishes meanwhile is not there."""
    try:
        entries = sorted(os.scandir(path), key=lambda entry: entry.name) if path.is_dir() else []
        if not entries and path.is_file():
            found = path.stat()
            update(f"{path.name}|{found.st_mtime_ns}|{found.st_size}\n".encode("utf-8", "surrogateescape"))
    except OSError:
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                update(f"{entry.name}/\n".encode("utf-8", "surrogateescape"))
                _stat(Path(entry.path), update)
            else:
                found = entry.stat()
                line = f"{entry.name}|{found.st_mtime_ns}|{found.st_size}|{found.st_ino}\n"
                update(line.encode("utf-8", "surrogateescape"))
        except OSError:
            continue
