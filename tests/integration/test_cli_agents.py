"""`signoff agents`: versions, pins, rollouts, new roles and figures, as people type them."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agents import editing, rollout
from agents.team import check, load
from agents.workspace import init
from bots.commands.role_numbers import WEEK_MS, numbers_of, told
from core.model.errors import TerminalError
from core.model.work import Phase, Usage
from core.rules import changing
from tests import small
from tests.integration.test_cli import environment, here, ok, refused
from tests.team_kit import edit, made, tree

SOUL = "agents/developer/SOUL.md"
TEAM = "agents/team.yaml"


@pytest.fixture
def ws(tmp_path: Path) -> Path:
    init(tmp_path / "ws")
    return tmp_path / "ws"


def versions(ws, role="developer"):
    return [line.split()[0] for line in ok(ws, "agents", "history", role).splitlines()]


def edited(ws):
    """Two versions of the developer: (old, new)."""
    versions(ws)
    edit(ws, "## Boundaries", "- Tests first.\n\n## Boundaries", SOUL)
    edit(ws, "tokens: 150000", "tokens: 99000")
    old, new = versions(ws)
    return old, new


def test_the_list_says_who_in_which_version_on_which_model(ws):
    lines = ok(ws, "agents").splitlines()
    assert [line.split()[0] for line in lines] == ["ceo", "developer", "devops"]
    assert re.fullmatch(r"developer  Developer  offline  [0-9a-f]{12}  prompt \S+ tokens", lines[1])


def test_history_says_when_what_changed_and_how_many_tasks_ran(ws):
    old, new = edited(ws)
    first, second = ok(ws, "agents", "history", "developer").splitlines()
    assert first.startswith(old)
    assert first.endswith("0 tasks  first kept")
    assert second.startswith(new)
    assert second.endswith("0 tasks  SOUL.md +2 -0, team.yaml +1 -1  in force")
    ok(ws, "say", "hello", "--to", "developer")
    assert "1 task  SOUL.md" in ok(ws, "agents", "history", "developer")
    assert "ceo:\n" in ok(ws, "agents", "history")
    refused(here(ws, "agents", "history", "nobody"), 1, "there is no role nobody")


def test_diff_compares_versions_and_what_is_in_force_with_the_files(ws):
    old, new = edited(ws)
    assert "nothing differs" in ok(ws, "agents", "diff", "developer")
    said = ok(ws, "agents", "diff", "developer", old)
    assert "+- Tests first." in said
    assert "-budget.task_tokens_max: 150000" in said
    assert "+++ files/SOUL.md" in said
    assert f"--- {new}/SOUL.md" in ok(ws, "agents", "diff", "developer", new, old)
    refused(here(ws, "agents", "diff", "developer", "ffff"), 1, "unknown version ffff of developer")


def test_a_rollback_writes_files_and_row_back_and_nothing_else(ws):
    before = tree(ws)
    old, new = edited(ws)
    (ws / "agents/developer/SOUL.prod.md").write_text("## Hours\nDays only.\n")
    said = ok(ws, "agents", "rollback", "developer", old)
    assert f"developer has the files of {old} again" in said
    assert tree(ws) == before
    assert versions(ws)[0] == old
    kept = [*(ws / ".signoff" / "backups").rglob("SOUL.md")]
    assert "Tests first." in kept[0].read_text()
    ok(ws, "agents", "rollback", "developer", new)
    assert "Tests first." in (ws / SOUL).read_text()


def test_a_rollback_says_what_it_cannot_bring_back(ws):
    old, _new = edited(ws)
    edit(ws, "it cannot go live because of a fault", "it cannot go live, ever, because of a fault")
    said = ok(ws, "agents", "rollback", "developer", old)
    assert "what all roles share, the matrix, commands or tools have changed since" in said


def test_a_rollback_mends_files_that_do_not_load(ws):
    old, new = edited(ws)
    versions(ws, "ceo")
    (ws / SOUL).write_text("oops")
    assert here(ws, "check").returncode == 5
    said, *kept = ok(ws, "agents", "history", "developer").splitlines()
    assert "`signoff agents rollback ROLE VERSION`" in said
    assert [line.split()[1] for line in kept] == [old, new]
    assert "\nceo " in ok(ws, "agents", "history")
    refused(here(ws, "agents", "history", "nobody"), 1, "no version is kept")
    ok(ws, "agents", "rollback", "developer", old)
    assert here(ws, "check").returncode == 0


def test_a_rollback_that_would_not_pass_writes_nothing(ws):
    old, _new = edited(ws)
    edit(ws, "lead: ceo", "lead: nobody")
    before = tree(ws)
    refused(
        here(ws, "agents", "rollback", "developer", old), 1, "nothing was written", "team.yaml:8: unknown role nobody"
    )
    assert tree(ws) == before
    edit(ws, "lead: nobody", "lead: ceo")
    text = (ws / TEAM).read_text()
    (ws / TEAM).write_text(text.replace("- id: developer", "- id: programmer"))
    refused(here(ws, "agents", "rollback", "developer", old), 1, "there is no role developer")


def test_a_disk_that_fails_in_between_leaves_everything_as_it_was(ws, monkeypatch):
    old, _new = edited(ws)
    before, real, n = tree(ws), Path.replace, [0]

    def fails(self, target):
        n[0] += self.name.endswith(".next")
        if self.name.endswith(".next") and n[0] == 2:
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="No space"):
        editing.roll_back(ws, "developer", old, ws / ".signoff" / "backups")
    assert n[0] == 2
    assert tree(ws) == before


def test_a_pin_holds_whatever_the_files_say(ws):
    old, new = edited(ws)
    assert f"developer is {old}" in ok(ws, "agents", "pin", "developer", old[:6])
    assert f"{old}  " in ok(ws, "agents").splitlines()[1]
    assert ok(ws, "agents").splitlines()[1].endswith("pinned")
    assert "its files" in ok(ws, "agents", "history", "developer").splitlines()[1]
    assert "+- Tests first." in ok(ws, "agents", "diff", "developer")
    said = ok(ws, "agents", "rollback", "developer", new)
    assert "signoff agents unpin developer" in said
    ok(ws, "agents", "unpin", "developer")
    assert not (ws / rollout.FILE).exists()
    refused(here(ws, "agents", "unpin", "developer"), 1, "developer is not pinned")
    refused(here(ws, "agents", "pin", "developer", "beef"), 1, "unknown version beef")
    refused(here(ws, "agents", "pin", "..", old), 1, "'..' is no role")


def test_a_rollout_is_one_at_a_time_and_ends_for_all_or_nobody(ws):
    old, new = edited(ws)
    ok(ws, "agents", "pin", "developer", old)
    assert "20 % of new requests" in ok(ws, "agents", "rollout", "developer", new, "20")
    assert f"20 % of new requests: {new}" in ok(ws, "agents")
    ceo = versions(ws, "ceo")[0]
    refused(here(ws, "agents", "rollout", "ceo", ceo, "20"), 1, "is being rolled out")
    refused(here(ws, "agents", "rollout", "developer", old, "20"), 1, "is being rolled out")
    refused(here(ws, "agents", "rollout", "ceo", "off"), 1, "nothing of ceo is rolled out")
    assert "50 %" in ok(ws, "agents", "rollout", "developer", new, "50")
    for wrong in (["0"], ["100"], ["-3"], []):
        assert here(ws, "agents", "rollout", "developer", new, *wrong).returncode == 2
    ok(ws, "agents", "rollout", "developer", "off")
    assert rollout.pins_of(ws).rollout is None
    assert load(ws, environ={}).roles["developer"].version.startswith(old)
    ok(ws, "agents", "rollout", "developer", new, "50")
    assert "for every new request" in ok(ws, "agents", "rollout", "developer", "100")
    assert not (ws / rollout.FILE).exists()  # its files say so
    ok(ws, "agents", "rollout", "developer", old, "50")
    ok(ws, "agents", "rollout", "developer", "100")
    assert rollout.pins_of(ws).pins == {"developer": old}


def test_a_broken_file_of_pins_is_told_with_its_line(ws):
    (ws / rollout.FILE).write_text("version: 1\npins: {developer: 'beefbeefbeef'}\n")
    refused(here(ws, "agents"), 5, "agents/pins.yaml:2: unknown version beefbeefbeef of developer")
    done = here(ws, "check")
    assert "agents/pins.yaml:2: unknown version" in done.stdout


# --- New --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("team", ["three", "twelve"])
def test_a_new_role_passes_check_and_the_comments_stay(tmp_path, team):
    init(tmp_path / "ws", team)
    where = tmp_path / "ws"
    comments = [line for line in (where / TEAM).read_text().splitlines() if "#" in line]
    notices = {notice.what for notice in check(where)[1]}
    said = ok(where, "agents", "new", "data-analyst")
    assert "wrote agents/data-analyst/SOUL.md" in said
    errors, after = check(where)
    assert errors == []
    assert {notice.what for notice in after} == notices
    made_up = load(where, environ={})
    assert made_up.roles["data-analyst"].title == "Data Analyst"
    assert made_up.roles["data-analyst"].reports_to == "ceo"
    assert "data-analyst" in [row.target for row in made_up.targets("ceo")]
    assert [line for line in (where / TEAM).read_text().splitlines() if "#" in line] == comments


def test_a_manifest_in_one_line_grows_too(tmp_path):
    where = made(tmp_path)
    text = (where / TEAM).read_text()
    start, end = text.index("matrix:"), text.index("commands:\n")
    rows = ("ceo, to: dev, kinds: [build]", "ceo, to: ops, kinds: [deploy]", "dev, to: ops, kinds: [bug]")
    flow = f"matrix: [{', '.join(f'{{from: {row}}}' for row in rows)}]\n"
    (where / TEAM).write_text(text[:start] + flow + text[end:])
    editing.new_role(where, "writer", "ceo")
    assert "writer" in load(where, environ={}).roles


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["ceo"], 1, "is there already"),
        (["_shared"], 2, "is no name"),
        (["../../x"], 2, "is no name"),
        (["Writer"], 2, "is no name"),
        (["people"], 1, "people is a word of ours"),
        (["presets"], 1, "is there already"),
        (["writer", "--reports-to", "nobody"], 1, "there is no role nobody"),
        (["writer", "--reports-to", "devops"], 1, "devops leads, and read_file is a tool to work with"),
    ],
)
def test_a_role_that_would_not_pass_writes_nothing(ws, words, code, what):
    before = tree(ws)
    refused(here(ws, "agents", "new", *words), code, what)
    assert tree(ws) == before


def test_none_of_it_works_inside_a_tools_run(ws):
    old = versions(ws)[0]
    for words in (
        *(["new", "x"], ["rollback", "developer", old], ["pin", "developer", old], ["unpin", "developer"]),
        *(["rollout", "developer", old, "5"], ["adopt", "t-1"]),
    ):
        assert here(ws, "agents", *words, SIGNOFF_ATTEMPT="x").returncode == 4


# --- Tasks ------------------------------------------------------------------------------------------------------------


def test_a_running_request_adopts_todays_definition(ws):
    ok(ws, "say", "hello")
    (task,) = [line.split()[0] for line in ok(ws, "tasks").splitlines() if line.lstrip().startswith("t-")][:1]
    refused(here(ws, "agents", "adopt", task), 1, "works by today's definition already")
    edit(ws, "## Boundaries", "- More.\n\n## Boundaries", "agents/ceo/SOUL.md")
    assert "goes on under today's definition (1 open task)" in ok(ws, "agents", "adopt", task)
    refused(here(ws, "agents", "adopt", task), 1, "works by today's definition already")


@pytest.mark.timeout(90)
def test_an_edit_is_noticed_by_what_runs(ws):
    """The whole program: edited, broken, mended, with nothing restarted."""
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [sys.executable, "-m", "bots", "run"]
    with subprocess.Popen(command, cwd=ws, text=True, env=environment(), **pipes) as running:
        try:
            assert "offline" in running.stdout.readline()  # the files have been read
            edit(ws, "preset: claude", "preset: nope")
            assert "agents/team.yaml:9: unknown preset nope" in running.stderr.readline()
            edit(ws, "preset: nope", "preset: claude")
            edit(ws, "## Boundaries", "- More.\n\n## Boundaries", SOUL)
            assert "Changes developer: prompt: in force for new requests" in running.stderr.readline()
            assert "right again" in running.stderr.readline()
            running.send_signal(signal.SIGTERM)
            running.wait(timeout=30)
        finally:
            running.kill()
    assert len(versions(ws)) == 2


# --- Figures ----------------------------------------------------------------------------------------------------------


def test_cost_is_told_by_part_at_the_presets_prices(ws):
    said = ok(ws, "agents", "cost", "developer")
    parts = {line.split()[0]: line for line in said.splitlines()}
    for name in ("tools", "_shared", "CONSTITUTION", "SOUL", "AGENTS", "TOOLS", "HEARTBEAT", "matrix"):
        assert "tokens" in parts[name]
    total = int(re.search(r"([\d,]+) tokens", parts["developer"])[1].replace(",", ""))
    rest = [line for line in said.splitlines() if line.startswith("  ")]
    assert sum(int(re.search(r"([\d,]+) tokens", line)[1].replace(",", "")) for line in rest) == total
    assert "first call $0.0" in parts["developer"]
    assert "offline" not in said
    assert len(ok(ws, "agents", "cost").splitlines()) == 4


def test_stats_are_there_for_every_role(ws):
    lines = ok(ws, "agents", "stats").splitlines()
    assert lines[0].split()[:2] == ["role", "ended"]
    assert [line.split()[0] for line in lines[1:]] == ["ceo", "developer", "devops"]
    assert len(ok(ws, "agents", "stats", "ceo", "--weeks", "1").splitlines()) == 2
    assert here(ws, "agents", "stats", "--weeks", "0").returncode == 2
    refused(here(ws, "agents", "stats", "nobody"), 1, "there is no role nobody")


NOW = small.NOW_MS


def task(n, phase=Phase.DONE, *, ago=0, cost=100, role="ops", **more):
    usage = Usage(cost_microusd=cost)
    return small.task(role, id=f"t-{n:012}", phase=phase, updated_at_ms=NOW - ago, usage=usage, **more)


def test_numbers_of_a_role():
    tasks = [task(1), task(2, Phase.FAILED), task(3, Phase.CANCELLED), task(4, Phase.WORKING), task(5, role="dev")]
    found = numbers_of("ops", [*tasks, task(6, ago=5 * WEEK_MS)], (), NOW - 4 * WEEK_MS, NOW)
    assert (found.ended_n, found.done_percent) == (3, 50.0)
    assert round(found.failed_per_100) == 33
    assert (found.cost_microusd, found.drift) == (100, ())
    assert told(found)[:3] == ("ops", "3", "50 %")
    nothing = numbers_of("ceo", tasks, (), 0, NOW)
    assert told(nothing) == ("ceo", "0", "-", "0", "0", "0", "0", "0", "-", "-")


def test_drift_is_this_week_against_those_before():
    early = [task(n, ago=2 * WEEK_MS) for n in range(10)]
    late = [task(100 + n, Phase.DONE if n < 5 else Phase.FAILED, cost=400, repairs=1) for n in range(10)]
    found = numbers_of("ops", [*early, *late], (), NOW - 4 * WEEK_MS, NOW)
    assert found.drift[0] == "done 100 % -> 50 %"
    assert found.drift[1].startswith("median cost ")
    assert found.drift[2] == "repairs a task 0.0 -> 1.0"
    assert numbers_of("ops", [*early, *late[:4]], (), NOW - 4 * WEEK_MS, NOW).drift == ()
    assert numbers_of("ops", [*early, *(task(50 + n) for n in range(6))], (), 0, NOW).drift == ()


def test_every_kind_of_repair_counts_and_so_does_a_call_that_was_only_written():
    tasks = [task(1, repairs=1, amiss_all_n=2, judged_n=1), task(2, recovered_n=3)]
    found = numbers_of("ops", tasks, (), 0, NOW)
    assert (found.repairs_n, found.written_n) == (4, 3)
    early = [task(n, ago=2 * WEEK_MS) for n in range(5)]
    late = [task(100 + n, recovered_n=1) for n in range(5)]
    told_of = numbers_of("ops", [*early, *late], (), NOW - 4 * WEEK_MS, NOW).drift
    assert told_of == ("written calls a task 0.0 -> 1.0: look at its tools",)


def test_inquiries_count_once_for_the_role_that_asked():
    one = changing.proposal(small.team(), "b", "a", "", small.PLACE, 1, NOW)
    found = numbers_of(one.role, (), (one, one), 0, NOW)
    assert found.asked_n == 1


def test_a_manifest_that_is_no_text_changes_nothing(tmp_path):
    where = made(tmp_path)
    (where / TEAM).write_bytes(b"\xff\xfe")
    with pytest.raises(TerminalError, match="is not UTF-8"):
        editing.new_role(where, "writer", "ceo")
