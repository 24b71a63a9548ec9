"""What a team file says a role may reach is checked before it is in force."""

import re

from agents import workspace
from agents.team import TeamErrors, check, load


def written(root, reach, tools="hand_off, ask_human"):
    workspace.init(root, "three")
    path = root / "agents" / "team.yaml"
    text = path.read_text("utf-8")
    developer = re.compile(r"(?<=    folder: developer\n    reports_to: ceo\n).*?(?=    complexity: )", re.DOTALL)
    ours = f"    tools: {{allow: [{tools}]}}\n    reach: {{egress: {reach}}}\n"
    assert developer.search(text)
    path.write_text(developer.sub(lambda _: ours, text), "utf-8")


def troubles(root):
    try:
        load(root, environ={})
    except TeamErrors as errors:
        return [str(error) for error in errors.errors]
    return []


def test_good_entries_are_in_force(tmp_path):
    written(tmp_path, '[docs.python.org, "*.python.org", "wiki.example.org:8443"]', "fetch_url, hand_off")
    team = load(tmp_path, environ={})
    assert team.roles["developer"].reach.egress == ("docs.python.org", "*.python.org", "wiki.example.org:8443")


def test_bad_entries_have_a_line(tmp_path):
    written(tmp_path, '["https://docs.python.org/", docs.python.org/3]')
    found = troubles(tmp_path)
    assert len(found) == 2
    assert all("is no host" in trouble and "team.yaml:" in trouble for trouble in found)


def test_who_may_fetch_and_reach_nothing_is_told(tmp_path):
    written(tmp_path, "[]", "fetch_url, hand_off")
    assert any("may reach no host" in str(notice) for notice in check(tmp_path)[1])
