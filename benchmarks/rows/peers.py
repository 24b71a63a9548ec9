"""The peers: each in an environment of its own, made on demand beside the results, a program that prints JSON."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import subprocess
import sys
import venv
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.bench import OUT, Scale, place, remove
from benchmarks.report import Figure
from benchmarks.rows import steps

HERE: Final = Path(__file__).parents[1] / "peers"
NAMES: Final = ("langgraph", "dbos")
INSTALL_SECONDS_MAX: Final = 600
RUN_SECONDS_MAX: Final = 300


async def measure(scale: Scale) -> AsyncIterator[Figure]:
    """A peer that cannot be installed or run is an error in its own rows. LangGraph's ratios are of figures of ours
    taken right beside its own, because a disk has its moods.
    """
    for name in NAMES:
        found: dict[str, list[float]] = {}
        try:
            python = await asyncio.to_thread(_environment, name)
            for _ in range(scale.repeats):
                theirs = await asyncio.to_thread(_run, name, python, scale)
                ours = {"step": await steps.steps_beside(scale), "approval": await steps.approvals_a_second(scale)}
                for what, rate in theirs.items():
                    found.setdefault(f"{name}-{what}", []).append(rate)
                    found.setdefault(f"{what}-{name}", []).append(ours[what] / rate)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            why = _why(error)
            for key in (f"{name}-step", f"{name}-approval", f"step-{name}", f"approval-{name}"):
                yield Figure(key=key, error=why)
        else:
            for key, values in found.items():
                yield Figure(key=key, value=median(values))


def _environment(name: str) -> Path:
    """Its interpreter. What was installed from another list is installed anew."""
    wanted = HERE / f"{name}.txt"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    folder = OUT / f".venv-{name}"
    python, mark = folder / "bin" / "python", folder / "installed"
    if not mark.is_file() or mark.read_text() != digest:
        shutil.rmtree(folder, ignore_errors=True)
        print(f"installing {name} into {folder} ...", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True)
        install = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", wanted)
        subprocess.run(  # noqa: S603  our own words
            install, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX
        )
        mark.write_text(digest)
    return python


def _run(name: str, python: Path, scale: Scale) -> dict[str, float]:
    folder = place(name)
    try:
        numbers = (1, scale.turns, max(16, scale.approvals // 3))
        command: tuple[str | Path, ...] = (python, HERE / f"{name}_work.py", folder, *map(str, numbers))
        done = subprocess.run(  # noqa: S603  our own words
            command, check=True, capture_output=True, text=True, timeout=RUN_SECONDS_MAX
        )
    finally:
        remove(folder)
    rates: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return rates


def _why(error: Exception) -> str:
    said = getattr(error, "stderr", None) or str(error)
    last = said.strip().splitlines()[-1:] if isinstance(said, str) else []
    return (last[0] if last else type(error).__name__)[:200]
