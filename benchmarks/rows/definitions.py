"""Loading and validating a team: twelve roles as shipped, and five hundred made from one of them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Final

import yaml

from agents import editing, workspace
from agents.source import FileTeamSource
from agents.team import check, load
from agents.versions import child, end_of, row_texts
from benchmarks.bench import OUT, Scale, remove
from benchmarks.report import Figure

ROLES: Final = 500
ROUNDS: Final = 5
_MODEL: Final = "writer"


def measure(_scale: Scale) -> Iterator[Figure]:
    """Files are warm: a team is read again and again while people edit it."""
    place = OUT / ".work" / "definitions"
    remove(place)
    twelve, many = place / "twelve", place / "many"
    try:
        workspace.init(twelve, "twelve")
        yield Figure(key="team-12", value=_took_ms(lambda: load(twelve, environ={})))
        workspace.init(many, "twelve")
        _grow(many, ROLES)
        yield Figure(key="team-500", value=_took_ms(lambda: load(many, environ={})), note=_checked(many))
        source = FileTeamSource(many, environ={})
        yield Figure(key="team-look", value=_took_ms(source.stamp))
    finally:
        remove(place)


def _took_ms(work: Callable[[], object]) -> float:
    took = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        took.append((time.perf_counter() - begun) * 1000)
    return median(took)


def _checked(place: Path) -> str:
    """With all that `signoff check` warns of; and that it is right."""
    begun = time.perf_counter()
    errors, _ = check(place)
    if errors:
        raise RuntimeError(str(errors[0]))
    return f"{(time.perf_counter() - begun) * 1000:,.0f} ms with every warning"


def _grow(place: Path, roles: int) -> None:
    """So many in all, the new ones copies of one that `signoff agents new` writes, each with its row of the matrix."""
    editing.new_role(place, _MODEL, "ceo")
    path = place / "agents" / "team.yaml"
    text = path.read_text("utf-8")
    made = len(load(place, environ={}).roles)
    names = [f"{_MODEL}{n}" for n in range(roles - made)]
    row = row_texts(text)[_MODEL]
    text = _behind(text, "roles", [row.replace(f": {_MODEL}\n", f": {name}\n") for name in names])
    hand = "{{from: ceo, to: {}, kinds: [task], when: what it is for}}"
    text = _behind(text, "matrix", [hand.format(name) for name in names])
    path.write_text(text, "utf-8")
    for name in names:
        shutil.copytree(place / "agents" / _MODEL, place / "agents" / name)
        soul = place / "agents" / name / "SOUL.md"
        soul.write_text(soul.read_text("utf-8").replace(f"id: {_MODEL}\n", f"id: {name}\n"), "utf-8")


def _behind(text: str, key: str, items: list[str]) -> str:
    """A block list of the manifest with more at its end."""
    listed = child(yaml.compose(text, Loader=yaml.CSafeLoader), key)
    assert listed is not None  # noqa: S101 - ours has both lists
    at, indent = text.index("\n", end_of(listed)), " " * listed.start_mark.column
    return text[:at] + "".join(f"\n{indent}- {item}" for item in items) + text[at:]
