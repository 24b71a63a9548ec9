"""team.yaml and the role folders: every mistake is found in one go, with its line and what was expected."""

import json
import re
import shutil
import time
from pathlib import Path

import msgspec
import pytest

from agents import team, workspace
from agents.rollout import encode
from agents.source import FileTeamSource
from agents.team import TeamErrors, check, load
from core.model.events import Conversation
from core.model.team import Tier
from core.rules.finding import shown
from core.rules.policy import REVIEW

ROOT = Path(__file__).parents[2]

MANIFEST = """\
version: 1
team: {name: acme, zone: Europe/Berlin, lead: ceo, preset: claude}
people:
  - {id: ana, name: Ana, role: owner, accounts: [telegram:1]}
  - {id: ben, name: Ben, role: approver, zone: UTC}
  - {id: eve, name: Eve, role: viewer}
roles:
  - id: ceo
    folder: ceo
    reports_to: null
    tools: {allow: [delegate, ask_human, hand_off]}
  - id: dev
    folder: dev
    reports_to: ceo
    tools: {allow: [delegate, read_file, write_file, hand_off]}
    budget: {call: {input: 1000, output: 500}, task: {tokens: 2000, calls: 3}, day: {tokens: 9000, usd: 1.25}}
  - id: ops
    folder: ops
    reports_to: ceo
    tools: {allow: [run_command, hand_off], deny: []}
    commands: [deploy]
    permissions: {can_deploy: true}
    complexity: deep
teams:
  all: [ceo, dev, ops]
matrix:
  - {from: ceo, to: dev, kinds: [build], when: code}
  - {from: ceo, to: ops, kinds: [deploy], when: going live}
  - {from: dev, to: ops, kinds: [bug], when: a fault}
commands:
  deploy:
    about: Publish a site
    argv: [./deploy.sh, "{site}"]
    args: {site: {enum: [landing, docs]}}
    resource: "site:{site}"
    says: Runs ./deploy.sh {site}
policy:
  words_add: []
  tiers: {}
"""

SOUL = """\
---
id: {id}
name: {id}
role: Worker
---

## Identity
I am.

## Core Responsibilities
- Work.

## Decision Principles
- Decide.

## Boundaries
None.

## Decision Authority
- Alone.

## Communication Style
Brief.
"""


@pytest.fixture
def place(tmp_path):
    agents = tmp_path / "agents"
    for role in ("ceo", "dev", "ops"):
        (agents / role).mkdir(parents=True)
        (agents / role / "SOUL.md").write_text(SOUL.replace("{id}", role))
        (agents / role / "CONSTITUTION.md").write_text("## Hard Rules\n1. Be honest.\n")
        for name in ("AGENTS.md", "TOOLS.md"):
            (agents / role / name).write_text("<!-- Nothing yet. -->\n")
    (agents / "_shared").mkdir()
    (agents / "_shared" / "SAFETY.md").write_text("# Safety\n1. Be safe.\n")
    (agents / "team.yaml").write_text(MANIFEST)
    (tmp_path / "deploy.sh").write_text("#!/bin/sh\necho live\n")
    (tmp_path / "deploy.sh").chmod(0o755)
    return tmp_path


def edit(place, old, new, file="agents/team.yaml"):
    path = place / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def errors_of(place):
    return [str(error) for error in check(place)[0]]


def test_a_good_team_loads_and_is_silent(place):
    errors, notices = check(place)
    assert errors == []
    said = "agents/team.yaml:29: dev gives work to ops, and neither leads: keep such rows few"
    assert [str(n) for n in notices] == [said]
    loaded = load(place, environ={"ANTHROPIC_API_KEY": "x"})
    assert loaded.lead == "ceo"
    assert loaded.person_of_account("telegram:1").zone == "Europe/Berlin"
    assert loaded.roles["dev"].budget.day_microusd_max == 1_250_000
    assert (loaded.roles["ceo"].leads, loaded.roles["dev"].leads) == (True, False)
    assert loaded.commands["deploy"].tier is Tier.INFRASTRUCTURE
    assert loaded.policy.words == ("deploy", "production", "database", "billing", "delete")


WRONG = [
    # old, new, line, what, expected
    ("version: 1", "version: 2", 1, "version: '2'", "one of: 1"),
    ("version: 1\n", "version: 1\ncolour: red\n", 2, "unknown key", "version, team, people, platform_roles, roles"),
    ("lead: ceo,", "lead: ceo, boss: x,", 2, "boss: unknown key", "name, zone, lead, preset"),
    ("name: acme, ", "", 2, "name is missing", "text"),
    ("name: acme", "name: 5", 2, "name: '5'", "text; put it in quotes"),
    ("Europe/Berlin", "Mars/Base", 2, "unknown time zone 'Mars/Base'", "IANA"),
    ("Europe/Berlin", "../etc/x", 2, "unknown time zone", "IANA"),
    ("zone: UTC", "zone: Mars", 5, "unknown time zone 'Mars'", "IANA"),
    ("preset: claude", "preset: abacus", 2, "unknown preset abacus", "claude"),
    ("lead: ceo", "lead: cfo", 2, "unknown role cfo", "one of: ceo, dev, ops"),
    ("lead: ceo", "lead: dev", 2, "the lead dev reports to ceo", "null"),
    ("id: ben", "id: ana", 5, "person ana is there twice", "each id once"),
    ("id: ben", "id: dev", 5, "dev is a person and a role", "different ids"),
    ("role: viewer", "role: boss", 6, "role: 'boss'", "owner"),
    ("zone: UTC", "accounts: [telegram:1]", 5, "account telegram:1 belongs to ana", "one person"),
    ("[telegram:1]", "[telegram]", 4, "account 'telegram'", "platform:id"),
    ("id: dev\n", "id: ceo\n", 12, "role ceo is there twice", "each id once"),
    ("id: dev\n", "id: Dev\n", 12, "id: 'Dev'", "small letter"),
    ("id: dev\n", "id: shared\n", 12, "shared is a word of ours", "another id"),
    ("folder: dev", "folder: ceo", 13, "folder ceo belongs to another role", "a folder for each role"),
    ("folder: dev", "folder: nowhere", 13, "no folder agents/nowhere", "SOUL.md"),
    ("folder: dev", "folder: ../dev", 13, "folder: '../dev'", "a name"),
    ("folder: dev\n    reports_to: ceo", "folder: dev", 12, "reports_to is missing", "or null"),
    ("reports_to: ceo", "reports_to: null", 14, "dev has no supervisor", "only the lead (ceo)"),
    ("reports_to: ceo", "reports_to: cfo", 14, "unknown role cfo", "one of: ceo"),
    ("reports_to: ceo", "reports_to: ops", 20, "ops leads, and run_command is a tool to work with", "only ask_human"),
    ("reports_to: ceo", "reports_to: dev", 14, "dev reports to itself in the end", "ends at the lead"),
    ("[delegate, ask_human, hand_off]", "[delegate, read_file, hand_off]", 11, "ceo leads, and read_file", "only ask_"),
    ("read_file, write_file", "fly, write_file", 15, "unknown tool fly", "read_file"),
    ("[delegate, read_file", "[read_file", 15, "the matrix lets dev hand on work", "delegate among its tools"),
    ("write_file, hand_off]", "write_file]", 15, "dev cannot finish", "hand_off"),
    ("input: 1000", "input: -1", 16, "input: '-1'", "a whole number of at least 1"),
    ("tokens: 2000", "tokens: -5", 16, "tokens: '-5'", "at least 0"),
    ("usd: 1.25", "usd: -0.5", 16, "usd: '-0.5'", "a number of at least 0"),
    ("usd: 1.25", "usd: .nan", 16, "usd: '.nan'", "a number"),
    ("usd: 1.25", "usd: .inf", 16, "usd: '.inf'", "a number"),
    ("tokens: 9000", f"tokens: 1{'0' * 30}", 16, "tokens: '1000", "a whole number"),
    ("[landing, docs]", "[landing, .inf]", 34, "'.inf'", "a number that ends"),
    ("calls: 3", "calls: 3.5", 16, "calls: '3.5'", "a whole number"),
    ("calls: 3", "calls: many", 16, "calls: 'many'", "a whole number"),
    ("commands: [deploy]", "commands: [deploy, launch]", 21, "unknown command launch", "one of: deploy"),
    ("    commands: [deploy]\n", "", 20, "ops has run_command and no commands", "commands: [...]"),
    ("[run_command, hand_off]", "[hand_off]", 20, "ops has commands and no run_command", "run_command among"),
    ("can_deploy: true", "can_deploy: si", 22, "can_deploy: 'si'", "true or false"),
    ("complexity: deep", "complexity: vast", 23, "complexity: 'vast'", "one of: deep, triage, work"),
    ("[ceo, dev, ops]", "[ceo, devv]", 25, "unknown role devv", "one of"),
    ("[ceo, dev, ops]", "[ceo, ceo]", 25, "ceo is there twice", "each role once"),
    ("{from: ceo, to: dev", "{from: ceo, to: hr", 27, "unknown role hr", "one of"),
    ("{from: dev, to: ops", "{from: hr, to: ops", 29, "unknown role hr", "one of"),
    ("to: dev, kinds: [build]", "to: dev, kinds: []", 27, "an empty list", "at least 1"),
    ("{from: dev, to: ops", "{from: dev, to: dev", 29, "dev hands work to itself", "two roles"),
    ("{from: dev, to: ops, kinds: [bug]", "{from: ceo, to: ops, kinds: [deploy]", 29, "there twice", "each kind once"),
    ("to: dev, kinds: [build]", "to: dev, kind: [build]", 27, "kind: unknown key", "from, to, kinds, when"),
    ("./deploy.sh,", "./gone.sh,", 33, "./gone.sh is missing", "an executable file"),
    ("./deploy.sh,", "./agents/team.yaml,", 33, "is not executable", "an executable file"),
    ("./deploy.sh,", "./files/ops/x.sh,", 33, "lies in files/", "a program elsewhere"),
    ("./deploy.sh,", "./link.sh,", 33, "lies in files/", "a program elsewhere"),
    ("./deploy.sh,", "./x/../files/ops/x.sh,", 33, "lies in files/", "a program elsewhere"),
    ("./deploy.sh,", '"{site}",', 33, "an argument chooses the program", "the program itself"),
    ('"{site}"]', '"{where}"]', 33, "{where} names no argument of deploy", "one of its args: site"),
    ("site:{site}", "site:{town}", 35, "{town} names no argument", "one of its args: site"),
    ("Runs ./deploy.sh {site}", "Runs {it}", 36, "{it} names no argument", "one of its args: site"),
    ("{enum: [landing, docs]}", "{type: strng}", 34, "no JSON Schema", "{enum: [a, b]}"),
    ("{enum: [landing, docs]}", "{enum: 5}", 34, "no JSON Schema", "{enum: [a, b]}"),
    ("{enum: [landing, docs]}", '{$ref: "http://127.0.0.1:1/x"}', 34, "no JSON Schema", "{enum: [a, b]}"),
    ("{enum: [landing, docs]}", "text", 34, "no JSON Schema", "{enum: [a, b]}"),
    ('argv: [./deploy.sh, "{site}"]', "argv: []", 33, "an empty list", "at least 1"),
    ("tiers: {}", "tiers: {huge: {}}", 39, "unknown tier huge", "one of: read, internal"),
    ("tiers: {}", "tiers: {external: {stages: [{approve: 3}]}}", 39, "3 must approve, and 2 can", "more people"),
    ("tiers: {}", "tiers: {external: {stages: [{people: [eve]}]}}", 39, "eve may not approve", "owner or approver"),
    ("tiers: {}", "tiers: {external: {stages: [{people: [zoe]}]}}", 39, "unknown person zoe", "one of: ana"),
    ("tiers: {}", "tiers: {external: {stages: [{approve: 2}, {}]}}", 39, "need different people", "fewer stages"),
    ("tiers: {}", "tiers: {external: {at_deadline: approve}}", 39, "at_deadline: 'approve'", "one of: deny"),
    ("tiers: {}", "tiers: {external: {decide_hours: 0}}", 39, "decide_hours: '0'", "above 0"),
    ("tiers: {}", "deliver: [slack:T1/C42]", 39, "origin is missing", "origin first"),
    ("tiers: {}", "deliver: [origin, slack:C42]", 39, "'slack:C42' is no place", "slack:T01/C42"),
    ("tiers: {}", "tiers: {external: {deliver: []}}", 39, "origin is missing", "origin first"),
    ("tiers: {}", "tiers: {external: {deliver: [origin, 'slack:T1/ /x']}}", 39, "is no place", "slack:T01/C42"),
    ("tiers: {}", "inbox: {channel: slack:C42}", 39, "'slack:C42' is no place", "slack:T01/C42"),
    ("tiers: {}", "inbox: {channel: slack:T1/C42/1/2}", 39, "is no place", "slack:T01/C42"),
    ("teams:\n", "platform_roles: {console: {}}\nteams:\n", 24, "console has no roles", "discord, slack, telegram"),
    ("teams:\n", "platform_roles: {slack: {owner: ['group:']}}\nteams:\n", 24, "role 'group:'", "admin, role:ID"),
    ("words_add: []", 'words_add: [" "]', 38, "an empty word", "a word"),
    ("words_add: []", "words_remove: [deploy]", 38, "unknown key", "words_add, tiers, deliver, inbox"),
    ("teams:\n", "teams: {}\nteams:\n", 25, "teams: is there twice", "each key once"),
    ("teams:\n  all:", "teams:\n  all: &x [ceo]\n  one: *x\n  two:", 26, "an alias", "the value itself"),
    ("name: acme", "name: !!python/name:os.system x", 2, "a tag", "plain YAML"),
    ("team: {", "team: [", 2, "not YAML", "YAML with two spaces"),
    ("teams:", f"x: {'[' * 500}{']' * 500}\nteams:", 24, "more than 30 levels", ""),
]


@pytest.mark.parametrize(("old", "new", "line", "what", "expected"), WRONG, ids=[f"{w[2]}-{w[3][:30]}" for w in WRONG])
def test_every_mistake_has_its_line_and_what_was_expected(place, old, new, line, what, expected):
    (place / "files" / "ops").mkdir(parents=True)
    (place / "files" / "ops" / "x.sh").write_text("#!/bin/sh\n")
    (place / "files" / "ops" / "x.sh").chmod(0o755)
    (place / "link.sh").symlink_to(place / "files" / "ops" / "x.sh")
    edit(place, old, new)
    found = [error for error in errors_of(place) if what in error]
    assert found, errors_of(place)
    at = re.match(r"agents/team\.yaml:(\d+): ", found[0])
    assert at, found[0]
    assert int(at[1]) == line, found[0]
    assert expected in found[0]
    with pytest.raises(TeamErrors) as caught:
        load(place, environ={})
    assert found[0] in str(caught.value)


def test_all_mistakes_are_found_at_once(place):
    edit(place, "Europe/Berlin", "Mars")
    edit(place, "usd: 1.25", "usd: -1")
    edit(place, "./deploy.sh,", "./gone.sh,")
    edit(place, "## Boundaries", "## Bounds", "agents/dev/SOUL.md")
    with pytest.raises(TeamErrors) as caught:
        load(place, environ={})
    assert len(caught.value.errors) == 4
    assert [(e.file, e.line) for e in caught.value.errors] == [
        ("agents/dev/SOUL.md", 6),
        ("agents/team.yaml", 2),
        ("agents/team.yaml", 16),
        ("agents/team.yaml", 33),
    ]


SOULS = [
    ("role: Worker", "rol: Worker", 4, "rol: unknown key", "id, name, role"),
    ("name: dev\n", "", 2, "name is missing", "text"),
    ("---\nid", "id", 1, "no front matter", "--- on the first line"),
    ("## Identity\n", "## Name\n", 6, "section Identity is missing", "## Identity"),
    ("## Boundaries\nNone.", "## Boundaries\n", 16, "section Boundaries is empty", "at least one sentence"),
]


@pytest.mark.parametrize(("old", "new", "line", "what", "expected"), SOULS)
def test_a_soul_says_who_it_is(place, old, new, line, what, expected):
    edit(place, old, new, "agents/dev/SOUL.md")
    found = [error for error in errors_of(place) if what in error]
    assert found, errors_of(place)
    assert found[0].startswith(f"agents/dev/SOUL.md:{line}: ")
    assert expected in found[0]


def test_a_role_whose_handoffs_are_looked_at_needs_somebody_to_look(place):
    edit(place, "reports_to: null", "reports_to: null\n    permissions: {requires_review: true}")
    errors, notices = check(place)
    assert not errors
    assert not any("requires_review" in notice.what for notice in notices)
    assert load(place, environ={}).policy.review == REVIEW


def test_a_role_may_be_renamed_in_the_manifest_alone(place):
    edit(place, "id: dev", "id: worker", "agents/dev/SOUL.md")
    errors, notices = check(place)
    assert not errors
    assert [str(n) for n in notices if "worker" in n.what] == [
        "agents/dev/SOUL.md:2: id is worker, and dev in team.yaml, which is what counts"
    ]


def test_missing_files_are_named(place):
    (place / "agents/dev/SOUL.md").unlink()
    (place / "agents/ops/SOUL.md").write_bytes(b"---\nid: \xff\n")
    (place / "agents/_shared/SAFETY.md").unlink()
    found = "\n".join(errors_of(place))
    assert "agents/dev/SOUL.md: is missing" in found
    assert "agents/ops/SOUL.md:2: is not UTF-8" in found
    assert "agents/_shared/SAFETY.md: is missing" in found
    shutil.rmtree(place / "agents")
    said = "agents/team.yaml: cannot be read (No such file or directory): a workspace: `signoff init DIR` makes one"
    assert errors_of(place) == [said]


WARNED = [
    ("role: owner", "role: member", "agents/team.yaml:3: nobody may approve"),
    ("deny: []", "deny: [send_fax]", "agents/team.yaml:20: denies send_fax"),
    ("can_deploy: true", "can_deploy: false", "agents/team.yaml:21: ops may not run deploy"),
    ("tiers: {}", "tiers: {infrastructure: {stages: [{}]}}", "agents/team.yaml:39: infrastructure needs less"),
    ("teams:\n", "platform_roles: {slack: {}}\nteams:\n", "agents/team.yaml:24: nobody may decide anything on slack"),
    ("[./deploy.sh, ", "[/bin/sh, x.sh, ", "agents/team.yaml:33: /bin/sh runs in files/<role>"),
    ('"{site}"]', "always]", "agents/team.yaml:34: site occurs nowhere in argv"),
]


@pytest.mark.parametrize(("old", "new", "notice"), WARNED)
def test_what_works_and_deserves_a_look_is_a_notice(place, old, new, notice):
    edit(place, "role: approver", "role: member")
    edit(place, old, new)
    errors, notices = check(place)
    assert errors == []
    assert any(str(found).startswith(notice) for found in notices), notices


def test_a_prompt_has_a_size(place):
    soul = place / "agents/dev/SOUL.md"
    text = soul.read_text()
    soul.write_text(text + "word " * 6800)  # 34,000 bytes: over 8,000 tokens
    errors, notices = check(place)
    assert errors == []
    assert any("over 8000" in notice.what and notice.line == 12 for notice in notices)
    soul.write_text(text + "word " * 8200)
    assert any("agents/team.yaml:12: the prompt of dev has" in error for error in errors_of(place))


def test_models_follow_the_preset_and_the_keys(place):
    offline = load(place, environ={})
    assert {(m.provider, m.model) for m in offline.models.values()} == {("offline", "offline")}
    for key in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        assert load(place, environ={key: "x"}).model_of("ceo").provider == "anthropic"
    assert load(place, environ={"ANTHROPIC_API_KEY": ""}).model_of("ceo").provider == "offline"
    assert load(place, environ={"OPENAI_API_KEY": "x", "SIGNOFF_PRESET": "gpt"}).model_of("ceo").provider == "openai"
    with pytest.raises(TeamErrors, match="SIGNOFF_PRESET: unknown preset nope"):
        load(place, environ={"SIGNOFF_PRESET": "nope"})


def test_a_preset_whose_models_need_no_key_is_used_without_one(place):
    team = load(place, environ={"SIGNOFF_PRESET": "local"})
    assert {(m.provider, m.base_url) for m in team.models.values()} == {("openai", "http://127.0.0.1:11434/v1")}
    assert {m.input_microusd_per_mtok for m in team.models.values()} == {0}
    assert {m.provider for m in load(place, environ={"SIGNOFF_PRESET": "best_mix"}).models.values()} == {"offline"}


@pytest.mark.parametrize("preset", ["claude", "gpt", "best_mix"])
def test_deep_work_has_a_budget_for_thinking(place, preset):
    models = load(place, environ={"SIGNOFF_PRESET": preset, "ANTHROPIC_API_KEY": "k"}).models
    assert [models[name].thinking_tokens for name in ("triage", "work", "deep")] == [0, 0, 8_000]


def test_a_preset_may_choose_for_one_role(place):
    row = {"provider": "anthropic", "model": "m", "input_usd_per_mtok": 0.1}
    (place / "agents/presets").mkdir()
    preset = {"version": 1, "models": dict.fromkeys(("triage", "work", "deep"), row)}
    preset["roles"] = {"dev": row | {"model": "other"}}
    (place / "agents/presets/claude.json").write_text(json.dumps(preset))
    loaded = load(place, environ={"ANTHROPIC_API_KEY": "x"})
    assert loaded.model_of("dev").model == "other"
    assert loaded.model_of("ops").model == "m"
    assert loaded.model_of("ceo").input_microusd_per_mtok == 100_000
    (place / "agents/presets/claude.json").write_text(json.dumps(preset, indent=1).replace('"work"', '"labour"'))
    assert any(e.startswith("agents/presets/claude.json:") and "work is missing" in e for e in errors_of(place))


def test_versions_name_content(place):
    first = load(place, environ={})
    assert load(place, environ={}).version == first.version
    edit(place, "I am.", "I am more.", "agents/dev/SOUL.md")
    second = load(place, environ={})
    assert second.version != first.version
    changed = {role for role in first.roles if first.roles[role].version != second.roles[role].version}
    assert changed == {"dev"}
    edit(place, "when: going live", "when: publishing")
    third = load(place, environ={})
    assert {r for r in first.roles if second.roles[r].version != third.roles[r].version} == {"ceo", "ops"}


def test_a_stored_team_is_read_back_whole(place):
    source = FileTeamSource(place, environ={})
    loaded = source.current()
    assert source.parse(encode(loaded)) == loaded
    assert encode(source.parse(encode(loaded))) == encode(loaded)


def test_a_broken_file_leaves_the_old_team(place):
    source = FileTeamSource(place, environ={})
    before = source.current()
    edit(place, "version: 1", "version: x")
    with pytest.raises(TeamErrors):
        source.reload()
    assert source.current() is before
    edit(place, "version: x", "version: 1")
    edit(place, "name: acme", "name: bigger")
    assert source.reload().name == "bigger"
    assert source.current().name == "bigger"


def test_a_role_sees_its_targets_and_its_commands(place):
    loaded = load(place, environ={})
    delegate = loaded.spec("ceo", "delegate")
    assert delegate.parameters["properties"]["to"]["enum"] == ["dev", "ops"]
    assert delegate.parameters["properties"]["kind"]["enum"] == ["build", "deploy"]
    assert "ops: ops (Publish a site). Kinds: deploy. going live." in delegate.about
    run = loaded.spec("ops", "run_command")
    assert run.parameters["properties"]["command"]["enum"] == ["deploy"]
    assert run.parameters["properties"]["args"]["required"] == ["site"]
    assert "deploy: Publish a site; args: site" in run.about
    assert loaded.spec("dev", "run_command") is None


def test_words_only_grow(place):
    edit(place, "words_add: []", "words_add: [Invoice, deploy]")
    words = load(place, environ={}).policy.words
    assert words == ("deploy", "production", "database", "billing", "delete", "invoice")


def test_places_are_the_teams_or_a_tiers_own_and_the_origin_goes_without_saying(place):
    policy = "deliver: [origin, slack:T1/C42]\n  inbox: {channel: discord:G/9/7}\n"
    edit(place, "tiers: {}", f"{policy}  tiers: {{external: {{deliver: [origin]}}, financial: {{allow_self: true}}}}")
    found = load(place, environ={}).policy
    room = Conversation(platform="slack", account="T1", channel="C42")
    assert found.tiers["infrastructure"].deliver == found.tiers["financial"].deliver == (room,)
    assert (found.tiers["external"].deliver, found.tiers["financial"].allow_self) == ((), True)
    assert found.inbox == Conversation(platform="discord", account="G", channel="9", thread="7")


def test_platforms_own_roles_are_read_as_they_are_written(place):
    edit(place, "teams:\n", "platform_roles: {telegram: {approver: [admin]}, discord: {owner: ['role:1']}}\nteams:\n")
    assert load(place, environ={}).platform_roles == {
        "telegram": {"owner": (), "approver": ("admin",)},
        "discord": {"owner": ("role:1",), "approver": ()},
    }


def test_an_interpreter_may_not_run_what_agents_write(place):
    edit(place, "[./deploy.sh, ", f"[/bin/sh, {place}/files/ops/x.sh, ")
    assert any("team.yaml:33: " in error and "where agents write" in error for error in errors_of(place))


def test_loading_twelve_roles_is_quick(tmp_path):
    workspace.init(tmp_path, "twelve")
    load(tmp_path, environ={})
    took = []
    for _ in range(3):
        began = time.perf_counter()
        load(tmp_path, environ={})
        took.append(time.perf_counter() - began)
    assert min(took) < 0.150


@pytest.mark.parametrize("size", ["three", "twelve"])
def test_the_shipped_teams_are_sound(tmp_path, size):
    written = workspace.init(tmp_path, size)
    assert tmp_path / "deploy.sh" in written
    assert errors_of(tmp_path) == []
    loaded = load(tmp_path, environ={})
    assert len(loaded.roles) == {"three": 3, "twelve": 12}[size]


def test_the_repository_is_a_workspace():
    assert errors_of(ROOT) == []


def test_the_first_request_is_small(tmp_path):
    workspace.init(tmp_path, "twelve")
    loaded = load(tmp_path, environ={})
    lead = loaded.roles[loaded.lead]
    tools = [{"name": s.name, "description": s.about, "input_schema": s.parameters} for s in shown(lead.specs, ())]
    body = {"system": lead.prompt, "tools": tools, "messages": [{"role": "user", "content": "hello"}]}
    assert len(msgspec.json.encode(body)) < 8_000


def test_init_overwrites_nothing(tmp_path):
    (tmp_path / "deploy.sh").write_text("mine")
    with pytest.raises(Exception, match=r"deploy\.sh is already there"):
        workspace.init(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["deploy.sh"]
    assert (tmp_path / "deploy.sh").read_text() == "mine"


def test_three_is_a_small_workspace(tmp_path):
    workspace.init(tmp_path / "new")
    agents = tmp_path / "new" / "agents"
    assert {p.name for p in agents.iterdir()} == {
        *("team.yaml", "_shared", "presets", "scenarios", "ceo", "developer", "devops"),
    }
    assert (tmp_path / "new" / "status.sh").stat().st_mode & 0o111


@pytest.mark.parametrize("name", ["deploy.sh", "status.sh"])
def test_the_demonstration_is_one(name):
    assert (ROOT / name).read_bytes() == (ROOT / "agents" / "demo" / name).read_bytes()


def test_packaged_names_agree():
    assert team.FILE == "agents/team.yaml"
