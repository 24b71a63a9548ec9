"""Kept versions: content under its hash, read back whole or not at all, compared line by line."""

import os

import msgspec
import pytest

from agents.compare import edition_diff
from agents.source import FileTeamSource
from agents.versions import Versions, diff_of, in_one_line, pages_of, row_texts, rows_of, version_of
from core.model.editions import Edition
from core.model.errors import TerminalError
from tests.team_kit import DEV, TEAM, edit, made, tree


@pytest.fixture
def place(tmp_path):
    return made(tmp_path)


def keep(place, at_ms=1):
    source = FileTeamSource(place, environ={})
    source.keep(at_ms)
    return source


def test_every_version_is_kept_once_with_its_files_and_its_row(place):
    first = keep(place, 1).current().roles["dev"]
    keep(place, 2)
    edit(place, "I am.", "I am more.", DEV)
    second = keep(place, 3).current().roles["dev"]
    one, two = Versions(place).of("dev")
    assert [(k.version, k.at_ms) for k in (one, two)] == [(first.version, 1), (second.version, 3)]
    assert one.role == first
    assert "I am." in one.files["SOUL.md"]
    assert one.row.startswith("id: dev")
    assert one.row in (place / TEAM).read_text()
    assert len(Versions(place).of("ops")) == 1


def test_a_version_is_found_by_the_beginning_of_its_name(place):
    version = keep(place).current().roles["dev"].version
    assert Versions(place).find("dev", version[:6]).version == version
    assert Versions(place).find("dev", version).version == version


def test_what_an_older_release_kept_is_still_that_version(place):
    version = keep(place).current().roles["dev"].version
    path = place / ".signoff" / "versions" / "dev" / f"{version}.json"
    kept = msgspec.json.decode(path.read_bytes())
    for name in ("skill_texts", "beats", "judged_by"):  # what it could not say yet
        del kept["role"][name]
    for spec in kept["role"]["specs"]:
        del spec["program"]
    path.write_bytes(msgspec.json.encode(kept))
    assert Versions(place).find("dev", version).version == version
    kept["role"]["judged_by"] = "ops"
    path.write_bytes(msgspec.json.encode(kept))
    with pytest.raises(TerminalError):
        Versions(place).find("dev", version)


@pytest.mark.parametrize("typed", ["", "abc", "../../x", "ffffffff", "*", "????????", "DEADBEEF", "'; drop"])
def test_what_is_no_version_is_refused(place, typed):
    keep(place)
    with pytest.raises(TerminalError):
        Versions(place).find("dev", typed)


@pytest.mark.parametrize("role", ["..", "../dev", "", "Dev", "dev/"])
def test_what_is_no_role_is_refused(place, role):
    version = keep(place).current().roles["dev"].version
    with pytest.raises(TerminalError):
        Versions(place).find(role, version)


def test_a_prefix_of_two_is_none(place):
    version = keep(place).current().roles["dev"].version
    folder = place / ".signoff" / "versions" / "dev"
    (folder / f"{version[:8]}{'0' * 56}.json").write_text("{}")
    with pytest.raises(TerminalError, match="could be 2 versions of dev"):
        Versions(place).find("dev", version[:8])


def test_what_was_changed_is_no_version_any_more(place):
    version = keep(place).current().roles["dev"].version
    path = place / ".signoff" / "versions" / "dev" / f"{version}.json"
    kept = msgspec.json.decode(path.read_bytes())
    kept["role"]["permissions"]["can_deploy"] = True
    path.write_bytes(msgspec.json.encode(kept))
    with pytest.raises(TerminalError, match="unknown version"):
        Versions(place).find("dev", version)
    assert Versions(place).of("dev") == ()
    path.write_text("{")
    assert Versions(place).of("dev") == ()


def test_a_version_of_another_role_is_not_this_ones(place):
    version = keep(place).current().roles["dev"].version
    folder = place / ".signoff" / "versions"
    (folder / "ops" / f"{version}.json").write_bytes((folder / "dev" / f"{version}.json").read_bytes())
    with pytest.raises(TerminalError):
        Versions(place).find("ops", version)


def test_its_name_is_the_hash_of_its_content(place):
    keep(place)
    (kept,) = Versions(place).of("ops")
    assert version_of(kept.role, kept.rows, kept.commands) == kept.version
    assert version_of(kept.role, kept.rows, ()) != kept.version


def test_a_diff_has_files_budgets_tools_and_rows_of_the_matrix(place):
    keep(place, 1)
    edit(place, "I am.", "I am more.", DEV)
    edit(place, "tokens: 2000", "tokens: 999")
    edit(place, "write_file, hand_off", "list_files, hand_off")
    edit(place, "when: code", "when: all code")
    keep(place, 2)
    before, after = Versions(place).of("dev")
    lines = diff_of(pages_of(before), pages_of(after), "old", "new").splitlines()
    for line in ("-I am.", "+I am more.", "-budget.task_tokens_max: 2000", "+budget.task_tokens_max: 999"):
        assert line in lines
    assert "+matrix: ceo -> dev: build (all code)" in lines
    assert "-tool write_file: internal, idempotent, 30 s" in lines or any("-tool write_file" in one for one in lines)
    assert "--- old/SOUL.md" in lines
    assert in_one_line(None, before) == "first kept"
    assert in_one_line(before, after).startswith("SOUL.md +1 -1, team.yaml +")
    assert diff_of(pages_of(before), pages_of(before)) == ""


def test_what_all_roles_share_is_said_to_be_what_changed(place):
    keep(place, 1)
    edit(place, "Be safe.", "Be safer.", "agents/_shared/SAFETY.md")
    keep(place, 2)
    assert in_one_line(*Versions(place).of("ops")) == "what all roles share"


def test_rows_stand_where_people_wrote_them():
    text = "roles:\n  - id: a\n    x: [1,\n        2]  # why\n  # more\n  - {id: b, y: {z: 1}}\nteams: {}\n"
    assert row_texts(text) == {"a": "id: a\n    x: [1,\n        2]", "b": "{id: b, y: {z: 1}}"}
    assert rows_of("roles: [") == {}
    assert rows_of("roles: 5") == {}
    assert rows_of("- a") == {}
    assert rows_of("roles: [5, {x: 1}]") == {}


def test_a_change_of_shared_words_is_shown_once(place):
    before = FileTeamSource(place, environ={}).edition()
    edit(place, "Be safe.", "Be safer.", "agents/_shared/SAFETY.md")
    after = FileTeamSource(place, environ={}).edition()
    said = edition_diff(before, after)
    assert said.count("-1. Be safe.") == 1
    assert said.startswith("=== ceo: prompt, dev: prompt, ops: prompt")
    assert edition_diff(before, before) == ""


def test_a_diff_shows_what_is_tried_on_a_share(place):
    team = FileTeamSource(place, environ={}).current()
    other = msgspec.structs.replace(
        team, version="x", roles={**team.roles, "dev": msgspec.structs.replace(team.roles["dev"], prompt="Other.")}
    )
    said = edition_diff(Edition(team=team), Edition(team=team, candidate=other, percent=20))
    assert "+20 % of new requests: dev: prompt" in said
    assert "+Other." in said


def test_keeping_changes_no_file_that_people_edit(place):
    before = tree(place)
    keep(place)
    assert tree(place) == before


def test_the_stamp_is_another_one_whenever_a_file_may_have_changed(place):
    source = FileTeamSource(place, environ={})
    seen = [source.stamp()]
    assert source.stamp() == seen[0]
    (place / "notes.md").write_text("not watched")
    assert source.stamp() == seen[0]
    for change in (
        lambda: edit(place, "I am.", "I am more.", DEV),
        lambda: (place / "agents/dev/NEW.md").write_text("x"),
        lambda: (place / "agents/dev/NEW.md").rename(place / "agents/dev/NEWER.md"),
        (place / "agents/dev/NEWER.md").unlink,
        (place / "agents/empty").mkdir,
        lambda: (place / "agents/gone").symlink_to(place / "nowhere"),
        lambda: (place / ".mcp.json").write_text("{}"),
    ):
        change()
        seen.append(source.stamp())
    same = [n for n in range(1, len(seen)) if seen[n] == seen[n - 1]]
    assert same == [6]  # a link that leads nowhere is not there


def test_what_is_gone_while_it_is_looked_at_is_not_there(place, monkeypatch):
    source = FileTeamSource(place, environ={})
    monkeypatch.setattr(os, "scandir", lambda path: (_ for _ in ()).throw(OSError(13, "no")))
    assert source.stamp()
