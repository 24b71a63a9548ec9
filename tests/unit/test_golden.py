"""Every later release reads what this one wrote.

A blob is never edited. A new type, or a new version of one, adds a file: `python -m tests.golden.write`.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.stored import TAGGED

GOLDEN = Path(__file__).parents[1] / "golden"


def name_of(made: type) -> str:
    return made.__struct_config__.tag.replace("/", ".") + ".json"


@pytest.mark.parametrize("made", TAGGED, ids=lambda made: made.__name__)
def test_what_a_release_wrote_is_read(made: type) -> None:
    blob = (GOLDEN / name_of(made)).read_bytes()
    read = msgspec.json.decode(blob, type=made)
    assert holds(msgspec.to_builtins(read), msgspec.json.decode(blob))


def holds(read, written) -> bool:
    """Whether everything that was written is in what was read; a later release may have added fields."""
    if isinstance(written, dict):
        return isinstance(read, dict) and all(name in read and holds(read[name], w) for name, w in written.items())
    if isinstance(written, list):
        return len(read) == len(written) and all(map(holds, read, written))
    return read == written


@pytest.mark.parametrize("made", TAGGED, ids=lambda made: made.__name__)
def test_every_tag_names_its_version(made: type) -> None:
    name, slash, version = made.__struct_config__.tag.partition("/")
    assert (name, slash) == (made.__name__, "/")
    assert int(version) >= 1


def test_no_golden_blob_is_orphaned() -> None:
    assert {path.name for path in GOLDEN.glob("*.json")} == {name_of(made) for made in TAGGED}
