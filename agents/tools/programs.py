"""Which file a command's argv[0] names.

Law: a program with a slash is a path of the workspace; one without is looked for where the system's own programs are,
and nowhere else.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

SYSTEM_PATH = "/usr/bin:/bin"
PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""`{name}` in argv, resource and says."""


def find(workspace: Path, program: str) -> Path | None:
    """The absolute path of an executable file, links not yet followed; None if there is none."""
    if "/" not in program:
        found = shutil.which(program, path=SYSTEM_PATH)
        return Path(found) if found else None
    path = workspace.absolute() / program
    return path if path.is_file() and os.access(path, os.X_OK) else None


def is_writable_by_agents(workspace: Path, path: Path) -> bool:
    """Whether a path lies in `files/`, as written or with its links followed."""
    files = workspace.absolute() / "files"
    written = Path(os.path.normpath(workspace.absolute() / path))
    return written.is_relative_to(files) or written.resolve().is_relative_to(files.resolve())
