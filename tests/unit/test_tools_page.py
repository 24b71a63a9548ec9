"""docs/tools.md says of each tool what its spec says."""

import re
from pathlib import Path

from agents.tools import base_specs

PAGE = Path(__file__).parents[2] / "docs" / "tools.md"
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| (\w+) \|", re.MULTILINE)
OURS = {"read_file", "list_files", "search_files", "write_file", "edit_file", "fetch_url", "run_command"}


def test_each_row_says_what_the_spec_says():
    specs = base_specs()
    rows = {name: (tier, effect) for name, tier, effect in ROW.findall(PAGE.read_text("utf-8")) if name in specs}
    assert rows.keys() >= OURS | {"delegate", "ask_human", "hand_off"}
    assert rows == {name: (specs[name].tier.value, specs[name].effect.value) for name in rows}
