"""Write blobs for types that have none yet. Existing ones are never touched."""

from __future__ import annotations

from pathlib import Path

from tests.stored import TAGGED, encode, sample

if __name__ == "__main__":
    for made in TAGGED:
        path = Path(__file__).parent / (made.__struct_config__.tag.replace("/", ".") + ".json")
        if not path.exists():
            path.write_bytes(encode(sample(made)))
            print(path.name)
