"""What `check` warns of: repeated, dead and contradicting instructions, and files that are not what they seem."""

import pytest

from agents.lint import KNOWLEDGE_BYTES_MAX
from tests.team_kit import DEV, edit, errors_of, made, notices_of

LONG = "Never answer before you have read the whole file."


@pytest.fixture
def place(tmp_path):
    return made(tmp_path)


def said(place, part):
    return [notice for notice in notices_of(place) if part in notice]


def test_a_rule_in_three_roles_belongs_to_all(place):
    for role in ("ceo", "dev"):
        edit(place, "None.", f"- {LONG}\n", f"agents/{role}/SOUL.md")
    assert said(place, "_shared") == []
    edit(place, "None.", f"*  {LONG.upper().replace('.', '!')}\n", "agents/ops/SOUL.md")
    assert said(place, "_shared") == ["agents/ceo/SOUL.md:17: dev, ops say this, too: say it once, in _shared"]


def test_short_lines_are_alike_by_chance(place):
    assert said(place, "say it once") == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("TOOLS.md", "Use `run_command` for that."),
        ("AGENTS.md", "Publish with run_command, then stop."),
        ("SOUL.md", None),
    ],
)
def test_a_tool_it_does_not_have_is_a_dead_instruction(place, file, line):
    if line is None:
        edit(place, "None.", "Never use `run_command`.", DEV)
    else:
        (place / "agents/dev" / file).write_text(f"## Tools\n- {line}\n")
    (notice,) = said(place, "does not have")
    assert notice.endswith("dev does not have the tool run_command")
    assert notice.startswith(f"agents/dev/{file}:")


def test_words_that_are_tools_elsewhere_are_words(place):
    (place / "agents/ops/AGENTS.md").write_text(
        "## Others\n- I delegate nothing and publish it.\n```\n`delegate`\n```\n"
    )
    assert said(place, "does not have") == []


def test_a_role_it_may_give_nothing_is_a_dead_instruction(place):
    (place / "agents/ops/AGENTS.md").write_text("## Others\n- Hand what is broken back to the `dev`.\n- Ask ceo.\n")
    assert said(place, "nothing") == ["agents/ops/AGENTS.md:2: the matrix lets ops give dev nothing"]
    (place / "agents/ops/AGENTS.md").write_text("## Others\n- Never hand anything to dev.\n")
    assert said(place, "nothing") == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Always deploy on Fridays.", "Never deploy on Fridays."),
        ("You must ask the owner first.", "You must not ask the owner first."),
        ("It may edit tests.", "It may not edit tests!"),
    ],
)
def test_two_rules_that_cannot_both_be_kept(place, one, other):
    edit(place, "None.", one, DEV)
    (place / "agents/dev/CONSTITUTION.md").write_text(f"## Hard Rules\n1. Be honest.\n- {other}\n")
    (notice,) = said(place, "opposite")
    assert notice == "agents/dev/CONSTITUTION.md:3: dev reads the opposite at agents/dev/SOUL.md:17"


def test_what_all_read_may_be_contradicted_by_one(place):
    (place / "agents/_shared/SAFETY.md").write_text("# Safety\nAlways write whole files.\n")
    edit(place, "None.", "Never write whole files.", DEV)
    assert said(place, "opposite") == [f"{DEV}:17: dev reads the opposite at agents/_shared/SAFETY.md:2"]


def test_different_sentences_do_not_contradict(place):
    edit(place, "None.", "Always test. Never test in production. You can. You cannot.", DEV)
    assert said(place, "opposite") == []


def test_a_large_knowledge_file_is_told(place):
    (place / "agents/dev/knowledge").mkdir()
    (place / "agents/dev/knowledge/book.md").write_bytes(b"x" * (KNOWLEDGE_BYTES_MAX + 1))
    assert said(place, "1,000,001 bytes") != []


@pytest.mark.parametrize("link", ["agents/dev/AGENTS.md", "agents/dev/knowledge/all.md", "agents/dev/SOUL.prod.md"])
def test_a_link_out_of_the_workspace_is_an_error(place, tmp_path_factory, link):
    outside = tmp_path_factory.mktemp("outside") / "x.md"
    outside.write_text("## Section\nBe somebody else.\n")
    (place / link).parent.mkdir(exist_ok=True)
    (place / link).symlink_to(outside)
    assert f"{link}: links out of the workspace: a file of its own" in errors_of(place)


def test_a_folder_that_is_a_link_out_is_an_error_and_one_inside_is_fine(place, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    (place / "agents/dev").rename(outside / "dev")
    (place / "agents/dev").symlink_to(outside / "dev")
    assert "agents/dev: links out of the workspace: a file of its own" in errors_of(place)
    (place / "agents/dev").unlink()
    (outside / "dev").rename(place / "agents/dev")
    (place / "notes.md").write_text("## Others\nBe kind.\n")
    (place / "agents/dev/AGENTS.md").symlink_to(place / "notes.md")
    assert errors_of(place) == []


def test_files_that_are_missing_are_told(place):
    assert "agents/dev/TOOLS.md: is missing" in notices_of(place)
    (place / "agents/dev/TOOLS.md").write_text("## Tools\n")
    assert "agents/dev/TOOLS.md: is missing" not in notices_of(place)
