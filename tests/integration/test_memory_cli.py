"""`signoff memory` and `signoff bulletin`, as people type them."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import msgspec
import pytest

from agents import workspace
from bots import cli
from bots.app import House, Workspace
from bots.cli import Exit
from core.model.memory import (
    BOARD,
    EVERYBODY,
    Layer,
    Memory,
    Place,
    PutMemory,
    Scope,
    Secrecy,
    SupersedeMemory,
    private,
)
from core.model.unit import Unit
from tests.integration.test_cli import LEFT_OUT

pytestmark = pytest.mark.usefixtures("unlogged")

PEOPLE = """\
people:
  - {id: you, name: You, role: owner}
  - {id: ana, name: Ana, role: approver}
  - {id: mia, name: Mia, role: member}
"""
DEVOPS = private("devops")
LEADS = Place(scope=Scope.TEAM, owner="leads")


def entry(name, text, *, place=DEVOPS, at_ms=1_700_000_000_000, **more):
    return Memory(id=f"m-{name}", place=place, text=text, at_ms=at_ms, by="devops", **more)


@pytest.fixture
def place(tmp_path, monkeypatch, capsys):
    for name in LEFT_OUT:
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "acme"
    workspace.init(folder, "three")
    path = folder / "agents" / "team.yaml"
    text = path.read_text("utf-8")
    old = next(line for line in text.splitlines() if line.startswith("people:"))
    rest = text.partition(f"{old}\n")[2].splitlines(keepends=True)
    after = next(n for n, line in enumerate(rest) if not line.startswith((" ", "#", "-")))
    path.write_text(text.partition(old)[0] + PEOPLE + "".join(rest[after:]), "utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.setattr("bots.commands.place.set_up_log", lambda *_, **__: None)  # it stays open as long as a process
    capsys.readouterr()
    return folder


def inside(place, work):
    async def run():
        async with await House.open(Workspace(place), os.environ) as house:
            return await work(house.store)

    return asyncio.run(run())


def put(place, *entries):
    inside(place, lambda store: store.commit(Unit(changes=tuple(PutMemory(memory=one) for one in entries))))


def noted(place):
    return inside(place, lambda store: store.read.memories((DEVOPS,)))


@pytest.fixture
def signoff(place, capsys):
    def run(*words, code=Exit.OK):
        assert cli.main(words) == code
        said = capsys.readouterr()
        return said.out if code == Exit.OK else said.out + said.err

    return run


def test_show_prints_memory_md(place, signoff):
    assert "# Memory of devops" in signoff("memory", "show", "devops")
    put(place, entry("a1", "Deploys are on Tuesdays"), entry("b2", "For everybody", place=EVERYBODY))
    assert "- 2023-11-14 Deploys are on Tuesdays <!-- m-a1, by devops -->" in signoff("memory", "show", "devops")
    assert "For everybody" in signoff("memory", "show", "global")
    assert "nobody here is called cfo" in signoff("memory", "show", "cfo", code=Exit.REFUSED)
    assert "nobody here is called team:x" in signoff("memory", "show", "team:x", code=Exit.REFUSED)


def test_a_team_has_a_memory_of_its_own(place, signoff):
    path = place / "agents" / "team.yaml"
    text = path.read_text("utf-8")
    if "\nteams:" not in text:
        path.write_text(text + "\nteams: {leads: [ceo]}\n", "utf-8")
    else:
        path.write_text(text.replace("\nteams:", "\nteams:\n  leads: [ceo]", 1), "utf-8")
    put(place, entry("a1", "We open at nine", place=LEADS))
    assert "We open at nine" in signoff("memory", "show", "team:leads")


def test_what_is_about_people_is_for_those_who_may(place, signoff):
    put(place, entry("a1", "Ana is away", secrecy=Secrecy.PERSONAL, about="ana"))
    put(place, entry("b2", "Bo is away", secrecy=Secrecy.PERSONAL, about="bo"))
    shown = signoff("--as", "mia", "memory", "show", "devops")
    assert "(2 about people are not for you to read)" in shown
    assert "is away" not in shown
    assert "Bo is away" in signoff("--as", "ana", "memory", "show", "devops")
    assert "Ana is away" in signoff("--as", "you", "memory", "search", "devops", "AWAY", "ana")


def test_search(place, signoff):
    put(place, entry("a1", "Deploys are on Tuesdays"))
    assert signoff("memory", "search", "devops", "tuesdays") == "[m-a1] 2023-11-14 Deploys are on Tuesdays\n"
    assert signoff("memory", "search", "devops", "nothing") == "nothing with these words\n"
    assert signoff("memory", "search", "ceo", "tuesdays") == "nothing with these words\n"


def test_a_file_is_read_back(place, signoff):
    put(place, entry("a1", "Deploys are on Tuesdays"), entry("b2", "The wiki moved"), entry("c3", "Old news"))
    path = place / "MEMORY.md"
    text = signoff("memory", "show", "devops")
    text = text.replace("on Tuesdays", "on Fridays").replace("- 2023-11-14 Old news <!-- m-c3, by devops -->\n", "")
    path.write_text(text + "- Pay with 4111 1111 1111 1111\n", "utf-8")
    said = signoff("--as", "ana", "memory", "import", "devops", "MEMORY.md")
    assert said == "1 new, 1 replaced, 1 forgotten (masked: card number)\n"
    found = {one.text: one for one in noted(place)}
    assert set(found) == {"Deploys are on Fridays", "The wiki moved", "Pay with [card number masked]"}
    assert (found["Deploys are on Fridays"].by, found["Deploys are on Fridays"].by_person) == ("ana", True)
    raw = (place / ".signoff" / "signoff.db").read_bytes()
    assert b"Old news" not in raw
    what = [sealed.what for sealed in inside(place, lambda store: store.read.unsealed(99))]
    assert what.count("memory.kept") == 2
    assert what.count("memory.forgotten") == 1
    again = signoff("memory", "show", "devops")
    path.write_text(again, "utf-8")
    assert signoff("memory", "import", "devops", "MEMORY.md") == "nothing was changed\n"


def test_nonsense_changes_nothing(place, signoff):
    put(place, entry("a1", "Deploys are on Tuesdays"))
    path = place / "MEMORY.md"
    path.write_text(signoff("memory", "show", "devops").replace("## Facts", "## Facts\nwhatever"), "utf-8")
    said = signoff("memory", "import", "devops", "MEMORY.md", code=Exit.WORKSPACE)
    assert "MEMORY.md:9: neither an entry nor a heading: - an entry, on one line" in said
    path.write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in signoff("memory", "import", "devops", "MEMORY.md", code=Exit.WORKSPACE)
    path.write_bytes(b"-" * 4_000_001)
    assert "has 4000001 bytes" in signoff("memory", "import", "devops", "MEMORY.md", code=Exit.WORKSPACE)
    signoff("memory", "import", "devops", "nowhere.md", code=Exit.WORKSPACE)
    assert [one.text for one in noted(place)] == ["Deploys are on Tuesdays"]


def test_only_those_who_decide_may_change_it(place, signoff):
    (place / "MEMORY.md").write_text("- One more\n", "utf-8")
    for words in (("import", "devops", "MEMORY.md"), ("edit", "devops"), ("forget", "--id", "m-a1")):
        said = signoff("--as", "mia", "memory", *words, code=Exit.NOT_ALLOWED)
        assert "Mia may not change what the team remembers" in said
    assert noted(place) == ()


def test_no_agent_does_it_through_the_command_line(place, signoff, monkeypatch):
    monkeypatch.setenv("SIGNOFF_ATTEMPT", "t-1:0:e0")
    for words in (("import", "devops", "x"), ("edit", "devops"), ("forget", "--id", "m-a1")):
        assert "agents do not decide" in signoff("memory", *words, code=Exit.NOT_ALLOWED)


def editor(place, body):
    """A program that edits the file it is given."""
    path = place / "editor.py"
    path.write_text(f"import pathlib, sys\npath = pathlib.Path(sys.argv[-1])\ntext = path.read_text()\n{body}\n")
    return f"{sys.executable} {path}"


def test_edit_opens_an_editor(place, signoff, monkeypatch):
    put(place, entry("a1", "Deploys are on Tuesdays"))
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor(place, "path.write_text(text.replace('Tuesdays', 'Fridays'))"))
    assert signoff("memory", "edit", "devops") == "1 replaced\n"
    assert [one.text for one in noted(place)] == ["Deploys are on Fridays"]
    monkeypatch.setenv("EDITOR", editor(place, ""))
    assert signoff("memory", "edit", "devops") == "nothing was changed\n"
    monkeypatch.setenv("EDITOR", editor(place, "path.write_text('nonsense'); sys.exit(1)"))
    assert signoff("memory", "edit", "devops") == "nothing was changed\n"
    monkeypatch.setenv("EDITOR", editor(place, "path.write_text('nonsense')"))
    said = signoff("memory", "edit", "devops", code=Exit.WORKSPACE)
    assert "neither an entry nor a heading" in said
    kept = Path(said.partition("Your text is in ")[2].partition(".md")[0] + ".md")
    assert kept.read_text("utf-8") == "nonsense"
    kept.unlink()
    monkeypatch.setenv("VISUAL", str(place / "nothing-here"))
    assert "cannot be started" in signoff("memory", "edit", "devops", code=Exit.REFUSED)


def test_what_was_changed_meanwhile_is_not_overwritten(place, signoff, monkeypatch):
    put(place, entry("a1", "Deploys are on Tuesdays"))
    (place / "MEMORY.md").write_text(signoff("memory", "show", "devops").replace("Tuesdays", "Fridays"), "utf-8")
    read = type(inside(place, _reads)).memories

    async def stale(self, places, limit=1000):
        found = await read(self, places, limit)
        async with await House.open(Workspace(place), os.environ) as other:
            await other.store.commit(Unit(changes=(SupersedeMemory(id="m-a1", by="m-z9"),)))
        return found

    monkeypatch.setattr(type(inside(place, _reads)), "memories", stale)
    said = signoff("memory", "import", "devops", "MEMORY.md", code=Exit.REFUSED)
    assert "somebody else has changed it meanwhile" in said


async def _reads(store):
    return store.read


def test_one_entry_is_forgotten(place, signoff):
    put(place, entry("a1b2", "Deploys are on Tuesdays"), entry("a1c3", "The wiki moved"))
    assert "there is no one entry m-a1" in signoff("memory", "forget", "--id", "m-a1", code=Exit.REFUSED)
    said = signoff("memory", "forget", "--id", "m-a1b")
    assert said.startswith("1 entry is forgotten\n")
    assert "Not forgotten: messages, journals" in said
    assert [one.text for one in noted(place)] == ["The wiki moved"]


def test_a_persons_data_is_forgotten_on_request(place, signoff):
    put(
        place,
        entry("a1", "Ana is away on Mondays", secrecy=Secrecy.PERSONAL, about="ana", people=("you", "ana")),
        entry("b2", "What ana asked for", people=("ana",), place=private("ceo")),
        entry("c3", "Ana wrote this policy", people=("you",)),
        entry("d4", "Bo was here", people=("bo",)),
        entry("e5", "A notice", place=BOARD, layer=Layer.FACT, people=("ana",)),
    )
    denied = signoff("--as", "mia", "memory", "forget", "--person", "ana", code=Exit.NOT_ALLOWED)
    assert "Mia may not have that forgotten" in denied
    said = signoff("--as", "ana", "memory", "forget", "--person", "Ana")
    assert said.startswith("3 entries are forgotten\n")
    assert "1 more in private:devops have that name in them" in said
    assert "Not forgotten" in said
    assert {one.text for one in noted(place)} == {"Ana wrote this policy", "Bo was here"}
    assert b"away on Mondays" not in (place / ".signoff" / "signoff.db").read_bytes()
    assert signoff("--as", "you", "memory", "forget", "--person", "bo").startswith("1 entry is forgotten\n")
    assert "nobody is called eve" in signoff("memory", "forget", "--person", "eve", code=Exit.REFUSED)
    rows = inside(place, lambda store: store.read.unsealed(99))
    assert [(row.subject, row.principal) for row in rows if row.what == "memory.forgotten"] == [
        ("ana", "ana"),
        ("bo", "you"),
    ]
    assert "Mondays" not in msgspec.json.encode(rows).decode()


def test_a_database_in_use_says_so(place, signoff, monkeypatch):
    put(place, entry("a1", "Deploys are on Tuesdays"))
    monkeypatch.setattr("core.adapters.sqlite.migrate.settle", lambda _path: False)
    assert "(The database is in use" in signoff("memory", "forget", "--id", "m-a1")


def test_the_board_and_its_archive(place, signoff):
    assert signoff("bulletin", "show") == "nothing is on the board\n"
    assert signoff("bulletin", "show", "--archive") == "the archive is empty\n"
    put(place, entry("a1", "The office moved", place=BOARD))
    put(place, entry("b2", "Long ago", place=BOARD, superseded_by="archived:1"))
    assert signoff("bulletin", "show") == "[m-a1] 2023-11-14 (bulletin, devops) The office moved\n"
    assert signoff("bulletin", "show", "--archive") == "[m-b2] 2023-11-14 (bulletin, devops) Long ago\n"
