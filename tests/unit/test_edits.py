"""What people type as an edit, in whichever form."""

from __future__ import annotations

import msgspec
import pytest

from core.model.inquiries import Action, Inquiry
from core.model.team import EffectClass
from core.rules.commands import edited_paths
from tests.small import PLACE

ACTION = Action(
    tool="run_command",
    arguments={"command": "ship", "args": {"site": "docs", "to": "live"}},
    resource="",
    verb="ship",
    effect=EffectClass.ONCE,
)
ASKED = Inquiry(
    id="i-1",
    kind="approval",
    task="t-1",
    root="t-1",
    call="t-1:1:1",
    role="ops",
    conversation=PLACE,
    action=ACTION,
    editable=("args.site", "args.to"),
    created_at_ms=0,
    updated_at_ms=0,
)
FLAT = msgspec.structs.replace(ASKED, action=msgspec.structs.replace(ACTION, arguments={"to": "a"}), editable=("to",))


@pytest.mark.parametrize(
    ("inquiry", "typed", "paths"),
    [
        (ASKED, {"args.site": "shop"}, {"args.site": "shop"}),
        (ASKED, {"site": "shop", "to": "test"}, {"args.site": "shop", "args.to": "test"}),
        (ASKED, {"command": "ship", "args": {"site": "shop", "to": "live"}}, {"args.site": "shop"}),
        (ASKED, {"args": {"new": 1}}, {"args.new": 1}),
        (ASKED, {"command": "rm"}, {"command": "rm"}),
        (ASKED, {"args": "x"}, {"args": "x"}),
        (ASKED, {"elsewhere": 1}, {"elsewhere": 1}),
        (FLAT, {"to": "b"}, {"to": "b"}),
        (msgspec.structs.replace(ASKED, action=None), {"x": 1}, {"x": 1}),
    ],
)
def test_an_edit_names_its_paths_in_any_form(inquiry, typed, paths):
    assert edited_paths(typed, inquiry) == paths
