"""The file tools reach a role's own files and the shared ones, and nothing else, whatever is swapped meanwhile."""

import contextlib
import os
import threading

import pytest

from agents.tools.file_tools import SPECS, ListFiles, ReadFile, WriteFile
from agents.tools.files import Files, version_of
from core.ports import Workplace
from core.rules.schema import check_arguments


class Desk:
    """A role at work in a workspace."""

    def __init__(self, root, role="dev"):
        self.root = root
        self.files = Files(root)
        self.role = role
        self.tools = {cls.NAME: cls(self.files) for cls in (ReadFile, WriteFile, ListFiles)}

    def at(self, role):
        other = Desk(self.root, role)
        other.files, other.tools = self.files, self.tools
        return other

    async def call(self, tool, *, attempt="t-1:0:e0", **arguments):
        checked = check_arguments(SPECS[tool].parameters, arguments)
        assert isinstance(checked, dict), checked
        place = Workplace(role=self.role, task="t-1", attempt=attempt, seconds_max=30)
        return await self.tools[tool].run(checked, place)


@pytest.fixture
def desk(tmp_path):
    (tmp_path / "secret.env").write_text("KEY=1")
    (tmp_path / "ws").mkdir()
    return Desk(tmp_path / "ws")


async def test_what_is_written_is_read(desk):
    assert (await desk.call("write_file", path="a/b/notes.md", content="häl\nlo")).failure is None
    result = await desk.call("read_file", path="a/b/notes.md")
    version = version_of("häl\nlo".encode())
    assert result.text == f"a/b/notes.md: 7 bytes, version {version}, bytes 0-7\nhäl\nlo"
    assert (desk.root / "files/dev/a/b/notes.md").read_text() == "häl\nlo"
    assert [p.name for p in (desk.root / "files/dev/a/b").iterdir()] == ["notes.md"]


async def test_own_files_are_ones_own(desk):
    await desk.call("write_file", path="notes.md", content="mine")
    other = desk.at("ops")
    assert (await other.call("read_file", path="notes.md")).failure
    assert "notes.md" not in (await other.call("list_files")).text
    for path in ("../dev/notes.md", "dev/../../dev/notes.md", "shared/../dev/notes.md"):
        assert (await other.call("read_file", path=path)).failure


PATHS = [
    *("", "/", ".", "..", "/etc/passwd", "../secret.env", "a/../../x", "a//b", "a/./b", "a/", "shared", "shared/"),
    *("shared/..", "shared/../dev/x", "a\0b", "a\nb", "a\x1bb", "a\u202eb", "x" * 300, "/".join("abcdefghijklmn")),
    *(".signoff-x", "a/.signoff-0123456789abcdef"),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("tool", ["read_file", "write_file"])
async def test_odd_paths_are_refused(desk, tool, path):
    (desk.root / "files").mkdir()
    before = sorted(desk.root.parent.rglob("*"))
    content = {"content": "x"} if tool == "write_file" else {}
    result = await desk.call(tool, path=path, **content)
    assert result.failure is not None
    assert sorted(desk.root.parent.rglob("*")) == before


@pytest.mark.parametrize("where", ["file", "folder", "role", "shared", "files"])
async def test_links_are_never_followed(desk, tmp_path, where):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.md").write_text("outside")
    own = desk.root / "files/dev"
    path = "x.md"
    match where:
        case "file":
            own.mkdir(parents=True)
            (own / "x.md").symlink_to(outside / "x.md")
        case "folder":
            own.mkdir(parents=True)
            (own / "d").symlink_to(outside)
            path = "d/x.md"
        case "role":
            own.parent.mkdir()
            own.symlink_to(outside)
        case "shared":
            own.parent.mkdir()
            (own.parent / "shared").symlink_to(outside)
            path = "shared/x.md"
        case "files":
            own.parent.symlink_to(outside)
    read = await desk.call("read_file", path=path)
    assert read.failure is not None
    assert "outside" not in read.text
    written = await desk.call("write_file", path=path, content="inside")
    assert written.failure is not None
    assert (outside / "x.md").read_text() == "outside"
    assert sorted(p.name for p in outside.iterdir()) == ["x.md"]
    assert "outside" not in (await desk.call("list_files")).text


async def test_devices_pipes_and_folders_are_no_files(desk):
    own = desk.root / "files/dev"
    own.mkdir(parents=True)
    os.mkfifo(own / "pipe")
    (own / "folder").mkdir()
    for path in ("pipe", "folder"):
        assert (await desk.call("read_file", path=path)).failure
        assert (await desk.call("write_file", path=path, content="x")).failure


async def test_a_folder_swapped_for_a_link_leads_nowhere(desk, tmp_path):
    """A thread swaps a folder for a link and back, as fast as it can, while the tools walk through it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x.md").write_text("SECRET")
    own = desk.root / "files/dev"
    (own / "d").mkdir(parents=True)
    (own / "d" / "x.md").write_text("mine")
    over = threading.Event()

    def swap():
        n = 0
        while not over.is_set():
            n += 1
            (own / "d").rename(own / f"was{n}")
            with contextlib.suppress(FileExistsError):  # a write made a folder here just now
                (own / "d").symlink_to(outside)
            if (own / "d").is_symlink():
                (own / "d").unlink()
            (own / "d").mkdir(exist_ok=True)

    swapper = threading.Thread(target=swap)
    swapper.start()
    refused = 0
    try:
        for n in range(300):
            read = await desk.call("read_file", path="d/x.md")
            assert "SECRET" not in read.text
            written = await desk.call("write_file", path="d/x.md", content=f"mine {n}", attempt=f"t-1:{n}:e0")
            refused += bool(read.failure) + bool(written.failure)
    finally:
        over.set()
        swapper.join()
    assert refused  # else the swaps were never met
    assert (outside / "x.md").read_text() == "SECRET"
    assert [p.name for p in outside.iterdir()] == ["x.md"]


async def test_a_shared_file_is_overwritten_only_by_who_has_seen_it(desk):
    other = desk.at("ops")
    await desk.call("write_file", path="shared/plan.md", content="one")
    blind = await other.call("write_file", path="shared/plan.md", content="two")
    assert "conflict" in blind.failure.what
    assert version_of(b"one") in blind.failure.why
    seen = await other.call("read_file", path="shared/plan.md")
    assert version_of(b"one") in seen.text
    assert f"shared/plan.md 3 bytes version {version_of(b'one')}" in (await other.call("list_files")).text
    joined = await other.call("write_file", path="shared/plan.md", content="two", if_version=version_of(b"one"))
    assert joined.failure is None
    late = await desk.call("write_file", path="shared/plan.md", content="three", if_version=version_of(b"one"))
    assert "conflict" in late.failure.what
    assert (desk.root / "files/shared/plan.md").read_text() == "two"


async def test_a_version_of_a_file_that_is_gone_is_a_conflict(desk):
    result = await desk.call("write_file", path="shared/x", content="x", if_version="0" * 16)
    assert "it is gone" in result.failure.why


async def test_a_write_done_before_a_crash_may_be_done_again(desk):
    await desk.call("write_file", path="shared/plan.md", content="one")
    again = {"path": "shared/plan.md", "content": "two", "if_version": version_of(b"one")}
    assert (await desk.call("write_file", **again)).failure is None
    assert (await desk.call("write_file", **again)).failure is None


async def test_what_a_killed_write_left_is_cleared_and_never_shown(desk):
    await desk.call("write_file", path="a.md", content="one")
    own = desk.root / "files/dev"
    before = {p.name for p in own.iterdir()}
    (own / ".signoff-0123456789abcdef").write_text("half")
    assert ".signoff" not in (await desk.call("list_files")).text
    await desk.call("write_file", path="a.md", content="two")
    assert {p.name for p in own.iterdir()} == before | {".signoff-0123456789abcdef"}


async def test_reading_is_bounded_and_goes_on(desk):
    (desk.root / "files/dev").mkdir(parents=True)
    (desk.root / "files/dev/big").write_bytes(b"a" * 70_000 + b"END")
    first = await desk.call("read_file", path="big")
    assert "bytes 0-16384; go on with offset 16384" in first.text
    last = await desk.call("read_file", path="big", offset=70_000, limit=65_536)
    assert last.text.endswith("bytes 70000-70003\nEND")
    assert check_arguments(SPECS["read_file"].parameters, {"path": "x", "limit": 65_537}) is not None
    (desk.root / "files/dev/raw").write_bytes(b"\xff\xfe" * 40_000)
    raw = await desk.call("read_file", path="raw", limit=65_536)
    assert "�" in raw.text
    assert len(raw.text.encode()) <= SPECS["read_file"].output_bytes_max


async def test_writing_is_bounded(desk):
    place = Workplace(role="dev", task="t-1", attempt="t-1:0:e0", seconds_max=30)
    result = await desk.tools["write_file"].run({"path": "big", "content": "ä" * 200_000}, place)
    assert "at most 262144" in result.failure.why
    assert not (desk.root / "files/dev/big").exists()


async def test_lists_are_bounded_and_say_so(desk):
    own = desk.root / "files/dev/many"
    own.mkdir(parents=True)
    for n in range(230):
        (own / f"{n:03}").touch()
    (desk.root / "files/shared").mkdir()
    text = (await desk.call("list_files")).text
    assert text.endswith("… and 30 more")
    assert (await desk.call("list_files", path="many")).text.startswith("many/000 0 bytes")
    assert (await desk.call("list_files", path="shared")).text == "no files"
    assert (await desk.call("list_files", path="nowhere")).failure
    assert (await desk.call("list_files", path="../..")).failure


async def test_nothing_there_is_no_trouble(desk):
    assert (await desk.call("list_files")).text == "no files"
    assert (await desk.call("read_file", path="x")).failure


async def test_a_full_disk_is_told(desk, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")

    await desk.call("write_file", path="a", content="old")
    monkeypatch.setattr(os, "fsync", full)
    result = await desk.call("write_file", path="a", content="new")
    assert result.failure.why == "No space left on device"
    assert [p.name for p in (desk.root / "files/dev").iterdir()] == ["a"]
    assert (desk.root / "files/dev/a").read_text() == "old"
