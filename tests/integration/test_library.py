"""Skills and knowledge: what a team knows is read when it is needed, and nothing beside it."""

import os

import pytest

from agents.team import check, load
from agents.tools import Equipment, registry
from agents.tools.library import TEXT_BYTES_MAX
from agents.tools.spool import Spool
from core.model.team import Tier
from core.ports import Workplace
from core.rules.actions import act_of
from tests.place_kit import Place

SKILL = """\
---
name: invoices
description: How to check an invoice:
  before anybody pays it.
license: MIT
metadata: {author: me}
---

# Invoices
1. Look at the sum.
"""
TOOL = '''\
def vat(sum: float) -> str:
    """The tax of a sum."""
    return str(sum * 0.19)
'''


class Shelf(Place):
    def __init__(self, root):
        super().__init__(root)
        self.put("agents/skills/invoices/SKILL.md", SKILL.replace("invoice:\n", "invoice,\n"))
        self.put("agents/skills/invoices/references/tax.md", "# Tax\n19 %\n")
        self.put("agents/skills/invoices/tools.py", TOOL)
        self.edit("write_file, list_files, run_command", "use_skill, write_file, list_files, run_command")
        self.edit("commands: [deploy, status]", "skills: [invoices]\n    commands: [deploy, status]")

    def errors(self):
        return [str(error) for error in check(self.root)[0]]

    def notices(self):
        return [str(notice) for notice in check(self.root)[1]]

    async def call(self, tool, /, *, role="devops", team=None, **arguments):
        team = team or load(self.root, environ={})
        equipment = Equipment(workspace=self.root, spool=Spool(self.root / ".signoff" / "spool"))
        place = Workplace(role=role, task="t-1", attempt="t-1:0:e0", seconds_max=10)
        return await registry(equipment, team)[tool].run(arguments, place)


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "ws")


def test_a_skill_is_a_line_in_the_prompt_of_who_has_it(shelf):
    assert shelf.errors() == []
    team = load(shelf.root, environ={})
    line = "- invoices: How to check an invoice, before anybody pays it."
    assert line in team.roles["devops"].prompt
    assert "Look at the sum" not in team.roles["devops"].prompt
    assert "invoices" not in team.roles["developer"].prompt
    spec = team.spec("devops", "use_skill")
    assert spec.parameters["properties"]["name"] == {"enum": ["invoices"]}
    assert spec.tier is Tier.READ
    assert team.spec("developer", "use_skill") is None


async def test_a_skill_is_read_when_it_is_needed(shelf):
    text = (await shelf.call("use_skill", name="invoices")).text
    assert text.startswith("invoices: bytes 0-30 of 30\n# Invoices\n1. Look at the sum.")
    assert text.endswith("\n\nFurther files: references/tax.md")
    assert (await shelf.call("use_skill", name="invoices", file="references/tax.md")).text.endswith("# Tax\n19 %\n")
    same = await shelf.call("use_skill", name="invoices", file="SKILL.md")
    assert same.text == text
    refused = await shelf.call("use_skill", role="developer", name="invoices")
    assert refused.failure.why == "it is not one of yours"
    assert (await shelf.call("use_skill", name="other")).failure
    assert (await shelf.call("use_skill", role="nobody", name="other")).failure


async def test_a_changed_skill_is_a_new_version_and_is_read_by_nobody_who_works_by_the_old_one(shelf):
    before = load(shelf.root, environ={})
    shelf.edit("Look at the sum", "Pay it at once", "agents/skills/invoices/SKILL.md")
    after = load(shelf.root, environ={})
    assert after.roles["devops"].version != before.roles["devops"].version
    assert after.roles["developer"].version == before.roles["developer"].version
    refused = (await shelf.call("use_skill", team=before, name="invoices")).failure
    assert refused.why == "it has changed since the definition you work by"
    assert "Pay it at once" in (await shelf.call("use_skill", team=after, name="invoices")).text


async def test_a_long_skill_comes_in_parts(shelf):
    shelf.put("agents/skills/invoices/long.md", "ä" * 10_000)
    first = (await shelf.call("use_skill", name="invoices", file="long.md")).text
    assert "go on with offset 16384" in first
    second = (await shelf.call("use_skill", name="invoices", file="long.md", offset=16_384)).text
    assert second.startswith("invoices/long.md: bytes 16384-20000 of 20000\n")
    assert first.count("ä") + second.count("ä") == 10_000


ODD = ["..", "../../team.yaml", "/etc/passwd", "a//b", ".hidden", "references", "nope.md", "references/../SKILL.md"]


@pytest.mark.parametrize("file", ODD)
async def test_only_a_skills_own_files_are_read(shelf, file):
    result = await shelf.call("use_skill", name="invoices", file=file)
    assert result.failure is not None
    assert result.text == ""


def test_a_skills_tools_are_its_roles_alone(shelf):
    team = load(shelf.root, environ={})
    assert "vat" in team.roles["devops"].tools
    assert team.spec("devops", "vat").tier is Tier.EXTERNAL
    assert team.spec("developer", "vat") is None
    assert act_of(team, "developer", "vat", {"sum": 1}, {}).what == "developer may not use vat"
    shelf.edit("use_skill, write_file, list_files, run_command", "vat, use_skill, write_file, list_files, run_command")
    assert load(shelf.root, environ={}).roles["devops"].tools.count("vat") == 1
    shelf.edit("commands: [deploy, status]", "# no commands")
    shelf.edit("skills: [invoices]", "commands: [deploy, status]")
    assert "unknown tool vat" in " ".join(shelf.errors())


def test_a_tool_of_a_skill_can_be_denied(shelf):
    shelf.edit("run_command, hand_off, ask_human]", "run_command, hand_off, ask_human], deny: [vat]")
    assert "vat" not in load(shelf.root, environ={}).roles["devops"].tools


async def test_a_skills_tool_runs(shelf):
    assert (await shelf.call("vat", sum=100)).text == "19.0"


def test_a_tool_of_a_skill_needs_the_skill(shelf):
    shelf.edit("list_files, hand_off, ask_human", "list_files, vat, hand_off, ask_human")
    assert [error.split(": ")[1] for error in shelf.errors()] == ["vat is a tool of the skill invoices"]


WRONG = [
    ("---\nname: x\n---\ntext", "agents/skills/invoices/SKILL.md:2: description is missing"),
    ("---\nname: x\ndescription: y\nodd: z\n---\ntext", "agents/skills/invoices/SKILL.md:4: odd: unknown key"),
    ("text", "agents/skills/invoices/SKILL.md:1: no front matter"),
    ("---\nname: invoices\ndescription: y\n---\n \n", "agents/skills/invoices/SKILL.md:4: says nothing"),
    (b"---\n\xff", "agents/skills/invoices/SKILL.md: is not UTF-8"),
    (b"x" * 70_000, "agents/skills/invoices/SKILL.md: has 70000 bytes"),
]


@pytest.mark.parametrize(("text", "error"), WRONG)
def test_what_is_no_skill_is_an_error(shelf, text, error):
    shelf.put("agents/skills/invoices/SKILL.md", text)
    assert any(one.startswith(error) for one in shelf.errors()), shelf.errors()


def test_skills_and_tools_fit_together(shelf):
    shelf.edit("skills: [invoices]", "skills: [invoices, other]")
    assert "no skill other: a file agents/skills/other/SKILL.md" in shelf.errors()[0]
    shelf.edit("skills: [invoices, other]", "skills: []")
    assert "devops has use_skill and no skills" in shelf.errors()[0]
    shelf.edit("skills: []", "skills: [invoices]")
    shelf.edit("use_skill, ", "")
    assert "devops has skills and no use_skill" in shelf.errors()[0]


def test_who_leads_gets_no_tools_from_a_skill(shelf):
    shelf.edit(
        "tools: {allow: [delegate, ask_human, hand_off",
        "skills: [invoices]\n    tools: {allow: [use_skill, delegate, ask_human, hand_off",
    )
    assert any("its skills bring tools to work with" in error for error in shelf.errors())
    (shelf.root / "agents/skills/invoices/tools.py").unlink()
    assert shelf.errors() == []


def test_what_means_nothing_here_is_noticed(shelf):
    shelf.edit("name: invoices", "name: bills\nallowed-tools: Bash(git:*)", "agents/skills/invoices/SKILL.md")
    notices = " ".join(shelf.notices())
    assert "name is bills, and invoices the folder's" in notices
    assert "allowed-tools allows nothing here" in notices


@pytest.mark.parametrize("where", ["SKILL.md", "", "tools.py"])
def test_a_skill_that_is_a_link_is_refused(shelf, tmp_path, where):
    skill = shelf.root / "agents/skills/invoices"
    path = skill / where if where else skill
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert shelf.errors()


# --- Knowledge ------------------------------------------------------------------------------------------------------


@pytest.fixture
def known(shelf):
    shelf.edit("use_skill, write_file", "use_skill, read_knowledge, write_file")
    shelf.put("agents/devops/knowledge/publishing.md", "intro\n# How we publish\nFirst the Docs, then the site.\n")
    shelf.put("agents/devops/knowledge/hosts/eu.txt", "one\ntwo docs\n")
    return shelf


async def test_knowledge_is_listed_with_its_headings(known):
    assert known.errors() == []
    text = (await known.call("read_knowledge")).text
    assert text == "hosts/eu.txt: one (13 bytes)\npublishing.md: How we publish (54 bytes)"
    assert "First the Docs" in (await known.call("read_knowledge", name="publishing.md")).text
    assert (await known.call("read_knowledge", role="assistant")).text == "you have no reference texts"
    assert (await known.call("read_knowledge", role="ceo", name="publishing.md")).failure


async def test_knowledge_is_searched_by_words(known):
    text = (await known.call("read_knowledge", query="docs THE")).text
    assert text == "publishing.md:3: First the Docs, then the site."
    assert (await known.call("read_knowledge", query="docs")).text.splitlines()[0] == "hosts/eu.txt:2: two docs"
    assert (await known.call("read_knowledge", name="hosts/eu.txt", query="docs")).text == "hosts/eu.txt:2: two docs"
    both = (await known.call("read_knowledge", query="one two")).text
    assert both == "no line holds all of it; these texts do: hosts/eu.txt"
    assert (await known.call("read_knowledge", query="nowhere")).text == "nothing found"


async def test_what_is_huge_or_no_text_is_not_read(known):
    huge = known.root / "agents/devops/knowledge/huge.md"
    with huge.open("wb") as file:
        file.write(b"# Huge\n")
        os.ftruncate(file.fileno(), 100 << 20)
    known.put("agents/devops/knowledge/logo.png", b"\x89PNG\0\0")
    listed = (await known.call("read_knowledge")).text
    assert "huge.md: Huge (104857600 bytes)" in listed
    refused = (await known.call("read_knowledge", name="huge.md")).failure
    assert refused.why == f"it has 104857600 bytes, at most {TEXT_BYTES_MAX} are read"
    assert (await known.call("read_knowledge", name="logo.png")).failure.why == "it is no text"
    assert "publishing" in (await known.call("read_knowledge", query="docs")).text
    assert (await known.call("read_knowledge", name="huge.md", query="docs")).failure
    assert "agents/devops/knowledge/huge.md: has 104857600 bytes: over 1000000 it is not read" in known.notices()


async def test_a_link_out_of_the_workspace_is_never_read(known, tmp_path):
    team = load(known.root, environ={})
    secret = tmp_path / "secret.md"
    secret.write_text("# KEY=1 docs\n")
    knowledge = known.root / "agents/devops/knowledge"
    (knowledge / "link.md").symlink_to(secret)
    (knowledge / "folder").symlink_to(tmp_path)
    for arguments in ({}, {"name": "link.md"}, {"name": "folder/secret.md"}, {"query": "docs"}):
        result = await known.call("read_knowledge", team=team, **arguments)
        assert "KEY" not in repr(result)
    assert (await known.call("read_knowledge", team=team, name="link.md")).failure.why == "it is no plain file"
    assert known.errors()
    assert "agents/devops/knowledge/link.md: is a link: it is not read" in known.notices()
    knowledge.rename(tmp_path / "elsewhere")
    knowledge.symlink_to(tmp_path / "elsewhere")
    assert (await known.call("read_knowledge", team=team)).failure.what == "it was not read"
    assert any("agents/devops/knowledge: is not read" in notice for notice in known.notices())


async def test_many_texts_and_many_hits_are_cut(known):
    for n in range(120):
        known.put(f"agents/devops/knowledge/n{n:03}.md", "needle\n")
    assert (await known.call("read_knowledge")).text.endswith("… and 22 more: use a query")
    assert (await known.call("read_knowledge", query="needle")).text.endswith("… and 80 more lines")
