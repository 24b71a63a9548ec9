"""docs/security.md names tests; each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`(test_\w+\.py)::(test_\w+)`")


def test_every_test_the_page_names_is_there() -> None:
    named = NAMED.findall((ROOT / "docs" / "security.md").read_text("utf-8"))
    assert len(named) > 20
    for file, test in named:
        text = (ROOT / "tests" / "integration" / file).read_text("utf-8")
        assert f"def {test}(" in text, f"{file} has no {test}"


def test_every_attack_is_on_the_page() -> None:
    page = (ROOT / "docs" / "security.md").read_text("utf-8")
    attacks = re.findall(
        r"^async def (test_\w+)", (ROOT / "tests/integration/test_attacks.py").read_text("utf-8"), re.MULTILINE
    )
    assert [test for test in attacks if test not in page] == ["test_the_team_is_careless"]
