"""Make a workspace: the packaged team, copied where people can edit it.

Law: nothing that exists is ever overwritten, and nothing is written before that is known.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from agents.manifest import Manifest, read_file
from core.model.errors import TerminalError

_PACKAGED = Path(__file__).parent
_MANIFESTS = {"three": "three.yaml", "twelve": "team.yaml"}
_SCRIPTS = ("deploy.sh", "status.sh")


def init(directory: Path, team: Literal["three", "twelve"] = "three") -> list[Path]:
    """Copy a team and the demonstration scripts; return what was written. Raises TerminalError, OSError."""
    wanted = [(directory / path, source) for path, source in _contents(_PACKAGED / _MANIFESTS[team])]
    there = [path for path, _ in wanted if path.exists() or path.is_symlink()]
    if there:
        raise TerminalError(f"{there[0]} is already there", "choose an empty directory; nothing was written")
    for path, source in wanted:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(source.read_bytes())
        if path.suffix == ".sh":
            path.chmod(0o755)
    (directory / "files" / "shared").mkdir(parents=True, exist_ok=True)
    return [path for path, _ in wanted]


def _contents(manifest: Path) -> Iterator[tuple[Path, Path]]:
    """Each file of a workspace, and where the package has it."""
    yield Path("agents", "team.yaml"), manifest
    for name in _SCRIPTS:
        yield Path(name), _PACKAGED / "demo" / name
    yield from _scenarios(manifest.stem)
    roles = read_file(manifest, manifest.name, Manifest).value
    folders = [row.folder or row.id for row in roles.roles] if roles else []
    for folder in ("_shared", "presets", *folders):
        for source in sorted((_PACKAGED / folder).rglob("*")):
            if source.is_file() and source.suffix in {".md", ".json"}:
                yield Path("agents") / source.relative_to(_PACKAGED), source


def _scenarios(manifest: str) -> Iterator[tuple[Path, Path]]:
    """What the team is tested with: scenarios, and the recordings made with this very team."""
    folder = _PACKAGED / "scenarios"
    made_with = folder if manifest == "team" else folder / manifest
    for source in (*sorted(folder.glob("*.yaml")), *sorted(made_with.glob("*.recording.json"))):
        yield Path("agents", "scenarios", source.name), source
