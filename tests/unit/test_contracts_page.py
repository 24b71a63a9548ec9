"""docs/contracts.md says what the structs say."""

import re
from pathlib import Path

import msgspec
import pytest

from core.model.work import Brief, Failure, Handoff, PushBack

PAGE = Path(__file__).parents[2] / "docs" / "contracts.md"


@pytest.mark.parametrize("kind", [Brief, Handoff, Failure, PushBack])
def test_every_field_is_on_the_page_and_no_other(kind):
    tag = kind.__struct_config__.tag
    (section,) = re.findall(rf"^## {re.escape(tag)}, .*?(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    shown = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert shown == [field.encode_name for field in msgspec.structs.fields(kind)]
