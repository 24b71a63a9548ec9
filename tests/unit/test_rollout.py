"""agents/pins.yaml: kept to, or an error with its line; and a share of the requests that never wavers."""

import msgspec
import pytest

from agents import rollout
from agents.source import FileTeamSource
from agents.team import TeamErrors, check, load, load_edition
from agents.versions import Versions
from core.model.ids import task_of_event
from core.model.team import Tier
from tests.team_kit import DEV, edit, errors_of, made, notices_of

PINS = "agents/pins.yaml"


@pytest.fixture
def place(tmp_path):
    return made(tmp_path)


@pytest.fixture
def old(place):
    """The version of dev before its files were edited."""
    source = FileTeamSource(place, environ={})
    source.keep(1)
    edit(place, "I am.", "I am more.", DEV)
    edit(place, "tokens: 2000", "tokens: 999")
    FileTeamSource(place, environ={}).keep(2)
    return source.current().roles["dev"]


def pin(place, text):
    (place / PINS).write_text(text)


def test_a_pinned_version_is_in_force_whatever_the_files_say(place, old):
    files = load(place, environ={})
    pin(place, f"version: 1\npins: {{dev: '{old.version[:12]}'}}\n")
    team = load(place, environ={})
    assert team.roles["dev"] == old
    assert team.roles["ops"] == files.roles["ops"]
    assert team.version not in {files.version, ""}
    assert errors_of(place) == []
    assert load(place, environ={}).version == team.version
    plain, edition = load_edition(place, environ={})
    assert plain == files
    assert edition.team == team


WRONG = [
    ("version: 2\n", 1, "version: '2'"),
    ("version: 1\npins: {dev: 'ffffffffffff'}\n", 2, "unknown version ffffffffffff of dev"),
    ("version: 1\npins:\n  nobody: 'ffffffffffff'\n", 3, "unknown role nobody"),
    ("version: 1\npins: {dev: '../../etc'}\n", 2, "is no version"),
    ("version: 1\npins: {dev: 12}\n", 2, "'12'"),
    ("version: 1\npin: {}\n", 2, "unknown key"),
    ("version: 1\nrollout: {role: dev, version: 'ffffffffffff', percent: 20}\n", 2, "unknown version"),
    ("version: 1\nrollout: {role: hr, version: 'ffffffffffff', percent: 20}\n", 2, "unknown role hr"),
    ("version: 1\nrollout: {role: dev, version: 'ffffffffffff', percent: 0}\n", 2, "percent: '0'"),
    ("version: 1\nrollout: {role: dev, version: 'ffffffffffff', percent: 100}\n", 2, "percent: '100'"),
    ("", 1, "it is empty"),
    ("version: 1\npins: ]", 2, "not YAML"),
]


@pytest.mark.parametrize(("text", "line", "what"), WRONG)
def test_what_cannot_be_kept_to_is_an_error_and_nothing_is_loaded(place, old, text, line, what):
    pin(place, text)
    found = [error for error in errors_of(place) if what in error]
    assert found, errors_of(place)
    assert found[0].startswith(f"{PINS}:{line}: ")
    with pytest.raises(TeamErrors):
        load(place, environ={})


def test_a_file_of_pins_that_leads_nowhere_is_an_error(place):
    (place / PINS).symlink_to(place / "gone")
    assert errors_of(place)[0].startswith(f"{PINS}: cannot be read")


def test_a_version_that_was_tampered_with_fails_closed(place, old):
    path = place / ".signoff/versions/dev" / f"{old.version}.json"
    path.write_text(path.read_text().replace('"can_deploy":false', '"can_deploy":true'))
    pin(place, f"version: 1\npins: {{dev: '{old.version}'}}\n")
    assert "unknown version" in errors_of(place)[0]


def test_where_a_pinned_role_stands_is_todays(place, old):
    version = FileTeamSource(place, environ={}).current().roles["ops"].version
    edit(place, "  deploy:\n", "  ship:\n")
    edit(place, "commands: [deploy]", "commands: [ship]")
    pin(place, f"version: 1\npins: {{ops: '{version}'}}\n")
    assert f"{PINS}:2: ops {version} needs the command deploy" in errors_of(place)[0]


def test_a_tool_that_became_stricter_stays_so_in_a_pinned_version(place, old):
    edit(place, "policy:\n", "tools: {write_file: {tier: external}}\npolicy:\n")
    pin(place, f"version: 1\npins: {{dev: '{old.version}'}}\n")
    assert load(place, environ={}).spec("dev", "write_file").tier is Tier.EXTERNAL


def test_a_tool_that_is_no_more_is_an_error(place, old):
    kept = Versions(place).find("dev", old.version)
    gone = msgspec.structs.replace(old.specs[-1], name="teleport")
    role = msgspec.structs.replace(old, specs=(*old.specs, gone), version="")
    from agents.versions import version_of

    version = version_of(role, kept.rows, kept.commands)
    made_up = msgspec.structs.replace(kept, role=msgspec.structs.replace(role, version=version))
    (place / ".signoff/versions/dev" / f"{version}.json").write_bytes(msgspec.json.encode(made_up))
    pin(place, f"version: 1\npins: {{dev: '{version}'}}\n")
    assert "needs the tool teleport" in errors_of(place)[0]


def requests(n=3_000):
    return [task_of_event(f"e{k}") for k in range(n)]


def test_a_share_of_new_requests_gets_the_candidate_and_always_the_same(place, old):
    pin(place, f"version: 1\nrollout: {{role: dev, version: '{old.version[:12]}', percent: 20}}\n")
    source = FileTeamSource(place, environ={})
    steady, edition = source.current(), source.edition()
    assert edition.candidate.roles["dev"] == old
    assert steady.roles["dev"] != old
    assert {n: r for n, r in edition.candidate.roles.items() if n != "dev"} == {
        n: r for n, r in steady.roles.items() if n != "dev"
    }
    mine = {root for root in requests() if source.of(root) is edition.candidate}
    assert 0.17 < len(mine) / 3_000 < 0.23
    again = FileTeamSource(place, environ={})
    assert mine == {root for root in requests() if again.of(root).roles["dev"] == old}
    pin(place, f"version: 1\nrollout: {{role: dev, version: '{old.version[:12]}', percent: 60}}\n")
    wider = FileTeamSource(place, environ={})
    assert mine < {root for root in requests() if wider.of(root).roles["dev"] == old}


def test_a_pinned_role_can_be_rolled_out_from_where_it_is(place, old):
    new = load(place, environ={}).roles["dev"].version
    pin(place, f"version: 1\npins: {{dev: '{old.version}'}}\nrollout: {{role: dev, version: '{new}', percent: 5}}\n")
    edition = FileTeamSource(place, environ={}).edition()
    assert edition.team.roles["dev"].version == old.version
    assert edition.candidate.roles["dev"].version == new


def test_rolling_out_what_is_in_force_is_odd_and_no_rollout(place, old):
    now = load(place, environ={}).roles["dev"].version
    pin(place, f"version: 1\nrollout: {{role: dev, version: '{now}', percent: 5}}\n")
    assert FileTeamSource(place, environ={}).edition().candidate is None
    assert any("in force already" in notice for notice in notices_of(place))


def test_what_is_written_is_what_is_read(place, old):
    pins = rollout.pinned(rollout.Pins(version=1), "dev", old.version[:12])
    row = rollout.RolloutRow(role="dev", version=old.version[:12], percent=7)
    pins = msgspec.structs.replace(pins, rollout=row)
    pin(place, rollout.text_of(pins))
    assert rollout.pins_of(place) == pins
    assert check(place)[0] == []
    assert rollout.pinned(pins, "dev", "").pins == {}
    assert rollout.text_of(rollout.Pins(version=1)) == ""
    pin(place, "version: 1\npins: [")
    with pytest.raises(Exception, match="not YAML"):
        rollout.pins_of(place)
    (place / PINS).unlink()
    assert rollout.pins_of(place) == rollout.Pins(version=1)
