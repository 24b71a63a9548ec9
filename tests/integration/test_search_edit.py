"""search_files and edit_file: what they find, what they change, and what they leave alone."""

import os

import pytest

from agents.tools import searching
from agents.tools.editing import SPEC as EDIT
from agents.tools.editing import EditFile
from agents.tools.file_tools import SPECS, ListFiles, ReadFile, WriteFile
from agents.tools.files import FILE_BYTES_MAX, Files, version_of
from agents.tools.searching import SPEC as SEARCH
from agents.tools.searching import SearchFiles
from core.model.team import EffectClass, Tier
from core.ports import Workplace
from core.rules.schema import check_arguments


class Desk:
    """A role at work in a workspace."""

    def __init__(self, root, role="dev"):
        self.root = root
        self.role = role
        self.files = Files(root)
        self.tools = {
            tool.spec.name: tool
            for tool in (cls(self.files) for cls in (ReadFile, WriteFile, ListFiles, SearchFiles, EditFile))
        }

    async def call(self, tool, *, attempt="t-1:0:e0", again=False, untrusted=False, role="", **arguments):
        checked = check_arguments({**SPECS, SEARCH.name: SEARCH, EDIT.name: EDIT}[tool].parameters, arguments)
        assert isinstance(checked, dict), checked
        place = Workplace(
            role=role or self.role, task="t-1", attempt=attempt, seconds_max=30, again=again, untrusted=untrusted
        )
        return await self.tools[tool].run(checked, place)

    async def search(self, pattern, **more):
        result = await self.call("search_files", pattern=pattern, **more)
        assert result.failure is None, result.failure
        return result.text.splitlines()

    async def edit(self, path, *edits, **more):
        return await self.call("edit_file", path=path, edits=[{"old": old, "new": new} for old, new in edits], **more)

    def put(self, path, data):
        file = self.root / "files" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data if isinstance(data, bytes) else data.encode())
        return file

    def text(self, path):
        return (self.root / "files" / path).read_text()


@pytest.fixture
def desk(tmp_path):
    (tmp_path / "ws" / "files").mkdir(parents=True)
    return Desk(tmp_path / "ws")


def test_the_specs_say_what_they_are(desk):
    assert (SEARCH.tier, SEARCH.effect) == (Tier.READ, EffectClass.READ)
    assert (EDIT.tier, EDIT.effect, EDIT.verb) == (Tier.INTERNAL, EffectClass.IDEMPOTENT, "write")
    assert desk.tools["search_files"].spec is SEARCH
    assert desk.tools["edit_file"].spec is EDIT


# --- search_files ---------------------------------------------------------------------------------------------------


async def test_words_are_found_in_own_and_shared_files(desk):
    desk.put("dev/a/notes.md", "one\nFlour and Water\nthree")
    desk.put("shared/b.md", "no water\r\nflour AND water\r\n")
    desk.put("ops/c.md", "flour and water")
    assert await desk.search("flour and water") == [
        "2 lines in 2 of 2 files",
        "a/notes.md:2: Flour and Water",
        "shared/b.md:2: flour AND water",
    ]
    assert await desk.search("flour.*water") == ["0 lines in 0 of 2 files"]


async def test_a_pattern_is_a_regular_expression_of_lines(desk):
    desk.put("dev/a.py", "def one():\n    pass\n\ndef two(x):\n")
    assert await desk.search(r"^def (\w+)\(\)", regex=True) == ["1 lines in 1 of 1 files", "a.py:1: def one():"]
    assert len(await desk.search("(?i)DEF", regex=True)) == 3
    assert len(await desk.search("DEF", regex=True)) == 1


@pytest.mark.parametrize("pattern", ["(", "a{5000}", "(?=a)", r"(a)\1", "(?P<x", "((a{100}){100}){100}"])
async def test_what_is_no_pattern_is_said_to_be_none(desk, pattern):
    result = await desk.call("search_files", pattern=pattern, regex=True)
    assert "was not looked for" in result.failure.what
    assert "RE2" in result.failure.recovery


async def test_a_cunning_pattern_takes_no_longer(desk):
    desk.put("dev/a.txt", "a" * 200_000 + "b")
    for pattern in ("(a+)+$", "(a|a)*c", "(a*)*b$"):
        await desk.search(pattern, regex=True)


async def test_it_looks_where_it_is_told(desk):
    for path in ("dev/a/x.md", "dev/a/x.py", "dev/b/x.md", "shared/a/x.md"):
        desk.put(path, "flour")
    assert (await desk.search("flour", path="a"))[1:] == ["a/x.md:1: flour", "a/x.py:1: flour"]
    assert (await desk.search("flour", path="a/x.py"))[1:] == ["a/x.py:1: flour"]
    assert (await desk.search("flour", path="shared/"))[1:] == ["shared/a/x.md:1: flour"]
    assert (await desk.search("flour", names="*.py"))[1:] == ["a/x.py:1: flour"]
    assert (await desk.search("flour", names="b/*"))[1:] == ["b/x.md:1: flour"]
    for path in ("../ops", "/etc", "nowhere", "a/../.."):
        assert (await desk.call("search_files", pattern="x", path=path)).failure is not None


async def test_no_link_is_followed(desk, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "x.md").write_text("flour")
    desk.put("dev/y.md", "nothing")
    (desk.root / "files/dev/link").symlink_to(tmp_path / "secret")
    (desk.root / "files/dev/link.md").symlink_to(tmp_path / "secret/x.md")
    assert await desk.search("flour") == ["0 lines in 0 of 1 files"]
    for path in ("link", "link.md", "link/x.md"):
        assert (await desk.call("search_files", pattern="flour", path=path)).failure is not None
    os.mkfifo(desk.root / "files/dev/pipe")
    assert await desk.search("flour") == ["0 lines in 0 of 1 files"]


async def test_what_is_no_text_and_what_is_too_large_is_skipped(desk):
    desk.put("dev/a.bin", b"flour\0")
    with desk.put("dev/large.txt", "").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    desk.put("dev/z.txt", b"flour \xff")
    assert await desk.search("flour") == [
        "1 lines in 1 of 1 files (1 too large to look into, 1 no text)",
        "z.txt:1: flour �",
    ]
    result = await desk.call("read_file", path="large.txt")
    assert result.failure.why == f"more than {FILE_BYTES_MAX} bytes"


async def test_there_is_never_too_much_of_it(desk):
    for n in range(9):
        desk.put(f"dev/{n}.txt", "flour\n" * 1_000)
    lines = await desk.search("flour")
    assert lines[0] == "100 lines in 5 of 6 files"
    assert "0.txt: … and more" in lines
    assert lines[-1].startswith("… stopped: there are more")
    desk.put("dev/0.txt", "x" * 9_999 + "flour" + "y" * 9_999 + "\n" + "flour" + "z" * 300)
    lines = await desk.search("flour", path="0.txt")
    assert [len(line) < 300 and "flour" in line for line in lines[1:]] == [True, True]
    assert "…" in lines[1]
    desk.put("dev/0.txt", ("flour" + "ä" * 235 + "\n") * 20)
    desk.put("dev/1.txt", ("flour" + "ä" * 235 + "\n") * 20)
    result = await desk.call("search_files", pattern="flour")
    assert len(result.text.encode()) < SEARCH.output_bytes_max


async def test_it_ends_in_time(desk, monkeypatch):
    desk.put("dev/a.txt", "flour\n" * 5_000)
    desk.tools["search_files"] = SearchFiles(desk.files, seconds_max=0)
    assert (await desk.search("flour"))[-1] == "… stopped: it took more than 0 s: name a folder"
    desk.tools["search_files"] = SearchFiles(desk.files, seconds_max=5)
    monkeypatch.setattr(searching, "BYTES_MAX", 10)
    assert "more than 10 bytes" in (await desk.search("flour"))[-1]
    report = searching._Report()
    searching._hits(report, "a.txt", "flower\n" * 5_000 + "flour", searching._compiled("flour", regex=False), stop_at=0)
    assert "it took too long" in report.text()


async def test_what_goes_while_it_looks_is_left_out(desk, monkeypatch):
    desk.put("dev/a.txt", "flour")
    monkeypatch.setattr("agents.tools.files.Found.content", lambda found: None)
    assert await desk.search("flour") == ["0 lines in 0 of 0 files"]


# --- edit_file ------------------------------------------------------------------------------------------------------


async def test_an_edit_is_made_and_shown(desk):
    desk.put("dev/a.py", "one\ntwo\nthree\n")
    result = await desk.edit("a.py", ("two", "2\n2b"))
    assert desk.text("dev/a.py") == "one\n2\n2b\nthree\n"
    version = version_of(b"one\n2\n2b\nthree\n")
    assert result.text == f"a.py edited: 15 bytes, version {version}\n@@ -2,1 +2,2 @@\n-two\n+2\n+2b"
    assert not result.untrusted


async def test_edits_are_made_all_or_none(desk):
    desk.put("dev/a.py", "one\ntwo\nthree")
    result = await desk.edit("a.py", ("one", "1"), ("four", "4"))
    assert result.failure.why == "edit 2 of 2: its old text is not there: 'four'"
    assert desk.text("dev/a.py") == "one\ntwo\nthree"
    result = await desk.edit("a.py", ("one", "1"), ("1\ntwo", "1\n2"), ("three", ""))
    assert desk.text("dev/a.py") == "1\n2\n"
    assert result.text.count("@@ -") == 3


async def test_the_old_text_is_there_exactly_once(desk):
    desk.put("dev/a.py", "aXaXa")
    assert "more than once" in (await desk.edit("a.py", ("aXa", "b"))).failure.why  # they overlap
    assert "is not there" in (await desk.edit("a.py", ("ax", "b"))).failure.why
    assert "is not there" in (await desk.edit("a.py", ("y" * 999, "b"))).failure.why
    assert (await desk.edit("a.py", ("aXaXa", "aXaXa"))).text.startswith("a.py has these edits: 5 bytes")


async def test_what_cannot_be_edited_is_refused(desk):
    desk.put("dev/a.bin", b"\xff\xfe")
    desk.put("dev/a.txt", "x")
    desk.put("dev/folder/x", "x")
    assert "UTF-8" in (await desk.edit("a.bin", ("x", "y"))).failure.why
    assert "no such file" in (await desk.edit("b.txt", ("x", "y"))).failure.why
    assert (await desk.edit("folder", ("x", "y"))).failure is not None
    assert (await desk.edit("../ops/x", ("x", "y"))).failure is not None
    desk.put("dev/b.txt", "x" + "y" * 200_000)
    assert "at most" in (await desk.edit("b.txt", ("x", "z" * 100_000))).failure.why
    (desk.root / "files/dev/link").symlink_to(desk.root / "files/dev/a.txt")
    assert (await desk.edit("link", ("x", "y"))).failure is not None
    assert desk.text("dev/a.txt") == "x"


async def test_a_shared_file_is_edited_by_who_has_seen_it(desk):
    desk.put("shared/a.md", "one")
    version = version_of(b"one")
    assert "you named none" in (await desk.edit("shared/a.md", ("one", "two"))).failure.why
    assert "you named 0000" in (await desk.edit("shared/a.md", ("gone", "two"), if_version="0000")).failure.why
    result = await desk.edit("shared/a.md", ("one", "two"), if_version=version)
    assert result.text.startswith(f"shared/a.md edited: 3 bytes, version {version_of(b'two')}")
    assert "conflict" in (await desk.edit("shared/a.md", ("two", "six"), if_version=version)).failure.what


async def test_an_edit_is_not_made_twice(desk, monkeypatch):
    """A crash right before, and right after, the file was replaced."""
    desk.put("dev/a.md", "x\n")
    assert (await desk.edit("a.md", ("x", "xx"), again=True)).failure is None  # it had not come so far
    again = await desk.edit("a.md", ("x", "xx"), again=True)
    assert again.text == f"a.md has these edits: 3 bytes, version {version_of(b'xx%c' % 10)}"
    assert desk.text("dev/a.md") == "xx\n"
    desk.put("dev/a.md", "x\n")  # as if it had been killed before
    assert (await desk.edit("a.md", ("x", "xx"), again=True)).text.startswith("a.md edited")
    desk.put("dev/a.md", "xxx\n")
    result = await desk.edit("a.md", ("x", "xx"), again=True)
    assert "changed since" in result.failure.why
    assert desk.text("dev/a.md") == "xxx\n"


async def test_edits_that_are_remembered_are_bounded(desk, monkeypatch):
    monkeypatch.setattr("agents.tools.marks.EDITS_MAX", 2)
    marks = desk.files.marks
    for n in range(4):
        marks.edit_begins(f"a{n}", "b", "c")
    assert [marks.edit_begun(f"a{n}") is not None for n in range(4)] == [False, False, True, True]


async def test_a_long_diff_is_cut(desk):
    desk.put("dev/a.md", "\n".join(f"line {n}" for n in range(900)) + "\n" + "x" * 900)
    result = await desk.edit("a.md", ("x" * 900, "y" * 900), (desk.text("dev/a.md")[:6_000], "new\r\n"))
    assert f"-{'x' * 200}…" in result.text
    assert result.text.endswith("(the rest of the diff is left out)")
    assert len(result.text) < 5_000
