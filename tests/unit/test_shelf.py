"""What leaves files/ is in files/, and what comes in is named by us."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.shelf import BYTES_MAX, NAME_BYTES_MAX, NAME_CHARS_MAX, TEMPORARY, WorkspaceShelf, safe_name
from core.model.errors import TerminalError


@pytest.fixture
def files(tmp_path):
    shared = tmp_path / "files" / "shared"
    shared.mkdir(parents=True)
    (shared / "report.md").write_text("# All is well")
    (tmp_path / "files" / "ceo").mkdir()
    (tmp_path / "files" / "ceo" / "notes.md").write_text("mine")
    (tmp_path / "secret").write_text("nobody's")
    return tmp_path / "files"


@pytest.fixture
def shelf(files):
    return WorkspaceShelf(files)


@pytest.mark.parametrize("name", ["files/shared/report.md", "shared/report.md", "./shared//report.md"])
def test_a_result_is_found_as_agents_write_it(shelf, name):
    assert shelf.read(name) == ("report.md", b"# All is well")


def test_a_roles_own_file_is_found(shelf):
    assert shelf.read("ceo/notes.md") == ("notes.md", b"mine")
    assert shelf.read("shared/../ceo/notes.md") == ("notes.md", b"mine")


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "/", "files", "files/", "shared", "shared/nothing.md", "../secret", "files/../secret"),
        *("shared/../../secret", "/etc/passwd", "shared/report.md/x", "a\0b", "\udcff", "x" * 5000, "a/" * 3000),
        *("https://example.org/report.md", "the report is in shared/report.md"),
    ],
)
def test_anything_else_is_nothing(shelf, name):
    assert shelf.read(name) is None


def test_links_lead_nowhere_outside(shelf, files, tmp_path):
    (files / "shared" / "out").symlink_to(tmp_path)
    (files / "shared" / "secret").symlink_to(tmp_path / "secret")
    (files / "shared" / "round").symlink_to("round")
    (files / "shared" / "inside.md").symlink_to("report.md")
    for name in ("shared/out/secret", "shared/secret", "shared/round"):
        assert shelf.read(name) is None
    assert shelf.read("shared/inside.md") == ("inside.md", b"# All is well")


def test_only_plain_files_of_some_size_are_read(shelf, files):
    os.mkfifo(files / "shared" / "pipe")
    with (files / "shared" / "large").open("wb") as file:
        file.truncate(BYTES_MAX + 1)
    (files / "shared" / f"{TEMPORARY}half").write_text("half")
    for name in ("pipe", "large", f"{TEMPORARY}half"):
        assert shelf.read(f"shared/{name}") is None
    with (files / "shared" / "large").open("wb") as file:
        file.truncate(BYTES_MAX)
    name, body = shelf.read("shared/large")
    assert (name, len(body)) == ("large", BYTES_MAX)


def test_a_workspace_without_files_has_none(tmp_path):
    shelf = WorkspaceShelf(tmp_path / "files")
    assert shelf.read("shared/report.md") is None
    assert shelf.read(shelf.keep("a.txt", "k", b"1")) == ("a.txt", b"1")


def test_what_people_send_is_kept_once(shelf, files):
    path = shelf.keep("../../etc/passwd", "slack:T1:C1:1:0", b"first")
    assert path.startswith("shared/inbox/")
    assert path.endswith("/passwd")
    assert (files / path).read_bytes() == b"first"
    assert shelf.keep("../../etc/passwd", "slack:T1:C1:1:0", b"second") == path
    assert (files / path).read_bytes() == b"first"
    assert shelf.keep("passwd", "slack:T1:C1:1:1", b"other") != path
    assert shelf.read(path) == ("passwd", b"first")
    assert [p.name for p in (files / path).parent.iterdir()] == ["passwd"]


def test_what_was_half_written_is_written_again(shelf, files):
    path = files / shelf.keep("a.txt", "k", b"whole")
    path.rename(path.with_name(TEMPORARY + "left"))
    assert (files / shelf.keep("a.txt", "k", b"whole")).read_bytes() == b"whole"


def test_a_failed_write_leaves_nothing(shelf, files, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            shelf.keep("a.txt", "k", b"x")
    assert not [p for p in (files / "shared" / "inbox").rglob("*") if p.is_file()]
    assert (files / shelf.keep("a.txt", "k", b"x")).read_bytes() == b"x"


def test_an_inbox_that_leads_away_is_refused(shelf, files, tmp_path):
    (files / "shared" / "inbox").symlink_to(tmp_path)
    with pytest.raises(OSError):  # noqa: PT011 - which one depends on the system
        shelf.keep("a.txt", "k", b"x")
    assert not list(tmp_path.glob("*/a.txt"))


def test_a_file_may_be_too_large(shelf, files):
    with pytest.raises(TerminalError, match="over 50 MB"):
        shelf.keep("a.txt", "k", bytes(BYTES_MAX + 1))
    assert not (files / "shared" / "inbox").exists()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("report.pdf", "report.pdf"),
        ("../../x.txt", "x.txt"),
        ("C:\\Users\\ana\\plan.docx", "plan.docx"),
        (".bashrc", "bashrc"),
        ("...", "file"),
        ("", "file"),
        ("/", "file"),
        ("\n\t", "file"),
        ("-rf", "rf"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("line\nbreak .md", "line break.md"),
        ("Grüße (1).md", "Grüße (1).md"),
        ("x" * 100 + ".md", "x" * 77 + ".md"),
        ("dots. . .", "dots"),
        ("a.b." + "c" * 30, "a.b." + "c" * 30),
        ("\udcffraw", "?raw"),
    ],
)
def test_names_are_made_safe(name, kept):
    assert safe_name(name) == kept


@given(st.text() | st.text(alphabet="./\\-~ \u202e\u200d\n😀é\0") | st.text(alphabet="😀x.", min_size=60))
def test_no_name_can_do_harm(name):
    kept = safe_name(name)
    assert kept
    assert kept.isprintable()
    assert not set(kept) & set("/\\\0")
    assert kept[0] not in ".- "
    assert len(kept) <= NAME_CHARS_MAX
    assert len(kept.encode()) <= NAME_BYTES_MAX
    assert safe_name(kept) == kept
