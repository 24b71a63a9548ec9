"""Pictures: kept once, apart from the journal, shown to the model while they are new, and counted as vendors count."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from agents.tools.file_tools import ReadFile
from agents.tools.files import Files
from bots.shelf import WorkspaceShelf
from core.adapters.models.scripted import both, use
from core.model.work import Picture, Returned, ToolResult
from core.ports import Workplace
from core.rules.transcript import FROM_OUTSIDE, NO_LONGER, NOT_KEPT, PICTURES_MAX
from core.runtime.requests import BYTES_PER_TOKEN, PICTURE_TOKENS
from tests import papers
from tests.engine_kit import Table, budgeted, company

LOOK = use("look", at="a")
TOLD = use("hand_off", summary="told")


def picture(body: bytes, media: str = "image/png") -> Picture:
    return Picture(media=media, hash="what the tool says is not believed", body=body)


def shows(table: Table, *bodies: bytes) -> None:
    """Each next look shows the next picture; then there are none."""
    left = list(bodies)

    async def look(arguments, place) -> ToolResult:
        return ToolResult(text="seen", picture=picture(left.pop(0)) if left else None)

    table.tools["look"].does = look


def shown(table: Table, n: int = -1) -> list[tuple[str, bytes]]:
    return [(p.media, p.body) for message in table.model.requests[n].messages for _, p in message.pictures]


async def test_a_picture_is_kept_apart_and_shown_at_every_turn() -> None:
    table = Table({"ops": [LOOK, use("note", text="x"), TOLD]})
    shows(table, b"PNG")
    await table.say("look", role="ops")
    (returned, _) = [e for e in await table.journal() if isinstance(e, Returned)]
    key = hashlib.sha256(b"PNG").hexdigest()
    assert returned.result.picture == Picture(media="image/png", hash=key)
    assert returned.result.text == "seen"
    assert await table.store.read.blob(key) == b"PNG"
    assert b"PNG" not in msgspec.json.encode(await table.journal())
    assert [shown(table, n) for n in range(3)] == [[], [("image/png", b"PNG")], [("image/png", b"PNG")]]


async def test_after_a_restart_it_is_shown_again() -> None:
    table = Table({"ops": [LOOK, use("ask_human", question="Which?"), TOLD]})
    shows(table, b"PNG")
    await table.say("look", role="ops")
    await table.crash()
    (inquiry,) = await table.inquiries()
    await table.order(f"/answer {inquiry.id} this")
    assert shown(table) == [("image/png", b"PNG")]


async def test_only_the_newest_are_shown() -> None:
    bodies = [b"%d" % n for n in range(PICTURES_MAX + 2)]
    table = Table({"ops": [both(LOOK, LOOK), *[LOOK] * PICTURES_MAX, TOLD]}, team=company())
    shows(table, *bodies)
    await table.say("look", role="ops")
    assert [body for _, body in shown(table)] == bodies[2:]
    assert table.results() == [f"seen\n{NO_LONGER}"] * 2 + ["seen"] * PICTURES_MAX
    assert [body for _, body in shown(table, -2)] == bodies[1:-1]


async def test_of_two_at_once_the_newer_stays() -> None:
    table = Table({"ops": [both(*[LOOK] * (PICTURES_MAX + 1)), TOLD]})
    shows(table, *(b"%d" % n for n in range(PICTURES_MAX + 1)))
    await table.say("look", role="ops")
    assert len(shown(table)) == PICTURES_MAX
    assert [NO_LONGER in text for text in table.results()] == [True, *[False] * PICTURES_MAX]


async def test_one_that_is_gone_is_a_line_of_text(monkeypatch) -> None:
    table = Table({"ops": [both(LOOK, LOOK), TOLD]})
    shows(table, b"one", b"two")
    real = table.store.read.blob

    async def lost(_self, key):
        return None if key == hashlib.sha256(b"one").hexdigest() else await real(key)

    monkeypatch.setattr(type(table.store.read), "blob", lost)
    await table.say("look", role="ops")
    assert sorted(table.results()) == ["seen", f"seen\n{NOT_KEPT}"]
    assert shown(table) == [("image/png", b"two")]


@pytest.mark.parametrize(("spare_tokens", "told"), [(PICTURE_TOKENS + 200, True), (PICTURE_TOKENS - 200, False)])
async def test_a_picture_counts_as_vendors_count_it_and_not_by_its_bytes(spare_tokens, told) -> None:
    plain = Table({"ops": [LOOK, TOLD]})
    await plain.say("look", role="ops")
    size = len(msgspec.json.encode(plain.model.requests[-1])) // BYTES_PER_TOKEN
    team = budgeted(company(), "ops", call_input_tokens_max=size + spare_tokens, task_tokens_max=10**7)
    table = Table({"ops": [LOOK, TOLD]}, team=team)
    shows(table, b"\0" * 3_000_000)
    await table.say("look", role="ops")
    assert (table.answer == "told") is told
    assert told or "a call may read" in table.answer


@pytest.mark.parametrize("empty", [Picture(media="image/png", hash="h"), "no picture"])
async def test_a_picture_without_a_body_is_none(empty) -> None:
    table = Table({"ops": [LOOK, TOLD]})
    table.tools["look"].returns(ToolResult(text="seen", picture=empty))
    await table.say("look", role="ops")
    (returned,) = [e for e in await table.journal() if isinstance(e, Returned)]
    assert returned.result == ToolResult(text="seen")


async def test_a_picture_somebody_sent_is_seen_by_the_model_and_marks_the_task(tmp_path) -> None:
    """All the way: from the shelf through the tool and the journal into the request."""
    body = papers.png(3, 2)
    path = WorkspaceShelf(tmp_path / "files").keep("the plan.png", "chat:1:0", body)
    place = Workplace(role="ops", task="t-1", attempt="t-1:1:e0", seconds_max=30)
    table = Table({"ops": [use("look", at=path), TOLD]})
    table.tools["look"].returns(await ReadFile(Files(tmp_path)).run({"path": path}, place))
    await table.say("look at it", role="ops")
    assert shown(table) == [("image/png", body)]
    (text,) = table.results()
    assert text.startswith(f"<untrusted>\n{path}: a picture, image/png, 3 x 2 pixels")
    assert text.endswith(f"\n</untrusted>\n{FROM_OUTSIDE}")
    assert (await table.task()).untrusted
