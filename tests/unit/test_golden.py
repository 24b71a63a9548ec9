"""Every later release reads what this one wrote.

A blob is never edited. A new type, or a new version of one, adds a file: `python -m tests.golden.write`.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.stored import TAGGED, sample

GOLDEN = Path(__file__).parents[1] / "golden"


def name_of(made: type) -> str:
    return made.__struct_config__.tag.replace("/", ".") + ".json"


@pytest.mark.parametrize("made", TAGGED, ids=lambda made: made.__name__)
def test_what_a_release_wrote_is_read(made: type) -> None:
    blob = (GOLDEN / name_of(made)).read_bytes()
    assert msgspec.json.decode(blob, type=made) == sample(made)


@pytest.mark.parametrize("made", TAGGED, ids=lambda made: made.__name__)
def test_every_tag_names_its_version(made: type) -> None:
    name, slash, version = made.__struct_config__.tag.partition("/")
    assert (name, slash) == (made.__name__, "/")
    assert int(version) >= 1


def test_no_golden_blob_is_orphaned() -> None:
    assert {path.name for path in GOLDEN.glob("*.json")} == {name_of(made) for made in TAGGED}
