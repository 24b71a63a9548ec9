"""Run the suite and print adapter x group, as the fakes' journals have it: kills, requests, duplicates, lost.

Exits 1 if a test fails, if anything was lost or done twice, or if a cell is empty: nothing was proved there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.conformance.platforms.conftest import RECORD
from tests.conformance.platforms.services import ADAPTERS, GROUPS
from tests.conformance.platforms.stage import Record

WORKERS = 2


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "records.jsonl")
        command = [sys.executable, "-m", "pytest", str(Path(__file__).parent), "-q", "-p", "no:cacheprovider"]
        command += ["--numprocesses", str(WORKERS), "--dist", "loadscope", *sys.argv[1:]]
        code = subprocess.call(command, env={**os.environ, RECORD: str(file)})
        lines = file.read_bytes().splitlines() if file.is_file() else []
    records = [msgspec.json.decode(line, type=Record) for line in lines]
    print(f"\n{'':<36}" + "".join(f"{name:<30}" for name in ADAPTERS))
    print(f"{'group':<36}" + "kills requests twice lost     " * len(ADAPTERS))
    whole = code == 0
    for group, title in GROUPS.items():
        cells = [[r for r in records if (r.adapter, r.group) == (name, group)] for name in ADAPTERS]
        whole = whole and all(cells) and not any(r.duplicates or r.lost or not r.passed for cell in cells for r in cell)
        print(f"{group:>2} {title:<33}" + "".join(f"{_cell(cell):<30}" for cell in cells))
    return 0 if whole else 1


def _cell(records: list[Record]) -> str:
    if not records:
        return "(empty)"
    sums = [sum(getattr(r, name) for r in records) for name in ("kills", "requests", "duplicates", "lost")]
    failed = sum(not r.passed for r in records)
    return f"{sums[0]:>5} {sums[1]:>8} {sums[2]:>5} {sums[3]:>4}" + (f" {failed} FAIL" if failed else "")


if __name__ == "__main__":
    sys.exit(main())
