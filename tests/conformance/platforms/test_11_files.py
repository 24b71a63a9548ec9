"""Group 11: files in and out, one that is too large, names that try to leave the workspace."""

import pytest

from tests.fakes.service import Fault

GROUP = 11
OVERSIZE = 21_000_000
pytestmark = pytest.mark.asyncio(loop_scope="module")


def _kept(stage, content):
    root = stage.bot.workspace
    return [path for path in root.rglob("*") if path.is_file() and path.stat().st_size == len(content)]


@pytest.mark.parametrize(
    "name", ["notes.txt", "../../../escaped.txt", "..\\..\\x.txt", "a/b/c.txt", "\u202etxt.exe", ".hidden"]
)
async def test_a_file_comes_in(stage, name):
    content = f"the content of {name!r}, {stage.word()}".encode()
    talk = await stage.ping(files=((name, "text/plain", content),))
    await talk.once()
    kept = [path for path in _kept(stage, content) if path.read_bytes() == content]
    assert len(kept) == 1, kept
    assert (stage.bot.workspace / "files").resolve() in kept[0].resolve().parents
    assert not any(path.name == "escaped.txt" for path in stage.bot.workspace.parents[1].glob("*.txt"))


async def test_a_file_that_is_too_large(stage):
    talk = await stage.ping(files=(("big.bin", "application/octet-stream", b"0" * OVERSIZE),))
    await talk.once(seconds=40)
    assert _kept(stage, b"0" * OVERSIZE) == []


async def test_a_file_that_cannot_be_fetched(stage):
    stage.service.faults.plan(Fault(method=stage.natives.download, how="status", status=500, times=99))
    talk = await stage.ping(files=(("gone.txt", "text/plain", b"gone"),))
    await talk.once(seconds=40)


async def test_a_file_goes_out(stage):
    word = stage.word()
    answer = f"pong {word}\n\n" + "\n\n".join(f"## Part {n}\n\n" + "words and words. " * 60 for n in range(40))
    talk = await stage.ping(word=word, answer=f"{answer}\n\nthe end of {word}")
    found = await talk.find(lambda one: bool(one.files), seconds=30)
    assert any(f"the end of {word}".encode() in content for _, content in found.files)
    assert all("/" not in name for name, _ in found.files)
    stage.talks.remove(talk)
