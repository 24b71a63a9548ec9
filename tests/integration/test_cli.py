"""The command line as people and programs use it: real processes, a real workspace, the offline model."""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from argparse import Namespace
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pexpect
import pytest

from bots import cli
from bots.commands import place
from bots.platforms import KNOWN
from bots.version import VERSION
from core.model.errors import DeniedError
from core.model.team import Person
from tests import small

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = "deploy the landing page"
OFFLINE = "No API key is set: the offline model answers."
LEFT_OUT = (
    "PYTHONDONTWRITEBYTECODE",
    "ANTHROPIC_API_KEY",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "SIGNOFF_ATTEMPT",
    "SIGNOFF_PRESET",
    *(variable for known in KNOWN for variable in known.secrets),
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
TASK_FIELDS = {
    *("id", "role", "state", "outcome", "waiting_on", "root", "parent", "depth", "title"),
    *("tokens", "cost_usd", "created_at", "updated_at", "result"),
}
INQUIRY_FIELDS = {
    *("id", "kind", "state", "overdue", "label", "revision", "task", "role", "tier", "tool", "command"),
    *("arguments", "digest", "question", "options", "why", "needs", "decide_by", "created_at"),
}


def environment(**more):
    """This process's, without what would change what is tested; compiled files are kept, as after an installation."""
    kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    return kept | {"PYTHONPYCACHEPREFIX": f"{tempfile.gettempdir()}/signoff-pyc-{os.getpid()}"} | more


@pytest.fixture(scope="module", autouse=True)
def _no_compiled_files_stay():
    yield
    shutil.rmtree(environment()["PYTHONPYCACHEPREFIX"], ignore_errors=True)


def signoff(where, *words, typed="", **more):
    return subprocess.run(
        [sys.executable, "-m", "bots", *words],
        cwd=where,
        input=typed,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=15,
    )


def here(where, *words, typed="", **more):
    """As `signoff`, in this process: where a process of its own would prove nothing more."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir(where),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
        patch.setattr(place, "set_up_log", lambda *_, **__: None)  # it is for a whole process, and would outlive us
        for name in LEFT_OUT:
            patch.delenv(name, raising=False)
        for name, value in more.items():
            patch.setenv(name, value)
        try:
            code = cli.main(words)
        except SystemExit as left:
            code = left.code
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


def ok(where, *words, by=here, **more):
    done = by(where, *words, **more)
    assert (done.returncode, done.stderr) == (0, ""), (words, done.stdout)
    return done.stdout


def rows(where, *words):
    return [json.loads(text) for text in ok(where, *words, "--json").splitlines()]


def refused(done, code, *said):
    """One line on stderr (and never a trace), with this exit code."""
    lines = done.stderr.splitlines()
    assert done.returncode == code, done.stderr
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("signoff: ")
    for words in said:
        assert words in lines[0]


def tells(process, words):
    """Read the process's output up to these words."""
    read = ""
    for text in process.stdout:
        read += text
        if words in text:
            return read
    raise AssertionError(read)


@contextmanager
def running(where):
    """`signoff run` with a person who has not typed yet."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bots", "run"],
        cwd=where,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        tells(process, OFFLINE)
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """Only to be copied."""
    where = tmp_path_factory.mktemp("cli") / "fresh"
    assert "signoff run" in ok(Path.cwd(), "init", str(where), by=signoff)
    return where


@pytest.fixture
def workspace(fresh, tmp_path):
    return Path(shutil.copytree(fresh, tmp_path / "ws"))


@pytest.fixture(scope="session")
def asked(fresh, tmp_path_factory):
    """A workspace in which a deployment waits for a person. Only to be read, and to be copied."""
    where = Path(shutil.copytree(fresh, tmp_path_factory.mktemp("cli") / "asked"))
    shown = ok(where, "run", by=signoff, typed=f"{DEPLOY}\n")
    assert shown.startswith(OFFLINE)
    assert "asks to run deploy" in shown
    return where


@pytest.fixture
def waiting(asked, tmp_path):
    return Path(shutil.copytree(asked, tmp_path / "ws"))


# --- What it costs to be asked --------------------------------------------------------------------------------------


def test_the_version_is_printed():
    assert ok(Path.cwd(), "--version", by=signoff) == f"signoff {VERSION}\n"


def loaded_by(where, *words):
    program = f"import sys; from bots.cli import main; main({list(words)!r}); print(*sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", program], cwd=where, env=environment(), capture_output=True, text=True, check=True
    )
    return set(out.stdout.splitlines()[-1].split())


def test_nothing_heavy_is_imported_before_it_is_needed(asked):
    assert not {"argparse", "asyncio", "msgspec", "bots.app"} & loaded_by(asked, "--version")
    heavy = {"anthropic", "openai", "apscheduler", "httpx", "prompt_toolkit", "pydantic"}
    chats = {"telegram", "discord", "slack_bolt", "slack_sdk", "aiohttp", "bots.telegram", "bots.discord", "bots.slack"}
    for command in ("tasks", "run", "doctor", "people"):
        unasked = {"apscheduler"} if command == "run" else set()  # the shipped roles do things at times of day
        assert not ((heavy - unasked) | chats) & loaded_by(asked, command), command


# --- The whole way --------------------------------------------------------------------------------------------------


def test_a_request_an_approval_and_the_deed(waiting):
    (inquiry,) = rows(waiting, "inbox")
    assert set(inquiry) >= INQUIRY_FIELDS
    assert (inquiry["tier"], inquiry["role"], inquiry["state"]) == ("infrastructure", "devops", "open")
    assert (inquiry["tool"], inquiry["command"]) == ("run_command", "deploy")
    assert inquiry["arguments"]["args"] == {"site": "landing"}
    assert inquiry["label"] == "single operator"
    assert inquiry["digest"].startswith("v1:")
    assert TIME.fullmatch(inquiry["decide_by"])
    root, child = rows(waiting, "tasks")
    assert set(root) >= TASK_FIELDS
    assert (root["state"], root["waiting_on"], root["depth"]) == ("waiting", [child["id"]], 0)
    assert (child["state"], child["waiting_on"], child["parent"]) == ("waiting", [inquiry["id"]], root["id"])
    assert inquiry["id"][:6] in ok(waiting, "inbox")
    assert "landing" in ok(waiting, "view", inquiry["id"][2:8])

    approved = ok(waiting, "approve", inquiry["id"][:8], "--reason", "go")
    assert approved.index(inquiry["digest"]) < approved.index("Approved. It runs when signoff is up.")
    assert not (waiting / "deployed.log").exists()
    assert rows(waiting, "inbox") == []
    assert "is live since" in ok(waiting, "run", by=signoff)
    assert len((waiting / "deployed.log").read_text().splitlines()) == 1

    done = rows(waiting, "tasks")
    assert [(task["state"], task["outcome"]) for task in done] == [("finished", "done")] * 2
    assert done == rows(waiting, "tasks", "--all")
    assert "landing" in done[0]["result"]["summary"]
    assert [task["id"] for task in rows(waiting, "task", child["id"][:8])] == [child["id"]]
    assert "is live since" in ok(waiting, "task", root["id"])
    refused(here(waiting, "approve", inquiry["id"]), 1, "Already approved by You.")
    refused(here(waiting, "cancel", root["id"]), 1, "over already")
    assert "While you were away" not in ok(waiting, "run", by=signoff)
    assert len((waiting / "deployed.log").read_text().splitlines()) == 1

    again = ok(waiting, "retry", root["id"])
    assert "again" in again
    assert len(rows(waiting, "tasks")) == 3


def test_a_denial_reaches_the_agent_and_nothing_runs(waiting):
    (inquiry,) = rows(waiting, "inbox")
    assert "Denied." in ok(waiting, "deny", inquiry["id"], "--reason", "not on a Friday")
    ok(waiting, "run", by=signoff)
    assert not (waiting / "deployed.log").exists()
    assert all(task["state"] == "finished" for task in rows(waiting, "tasks"))


def test_an_edit_must_be_approved_as_it_is_then(waiting):
    (before,) = rows(waiting, "inbox")
    edited = {"command": "deploy", "args": {"site": "docs"}}
    assert "must be approved as it is now" in ok(waiting, "edit", before["id"], json.dumps(edited))
    (after,) = rows(waiting, "inbox")
    assert (after["id"], after["revision"], after["arguments"]) == (before["id"], 2, edited)
    assert after["digest"] != before["digest"]


def test_controls_reach_tasks_and_roles(waiting):
    root, _child = rows(waiting, "tasks")
    assert "stopped" in ok(waiting, "stop", root["id"][:7])
    assert {task["state"] for task in rows(waiting, "tasks")} == {"paused"}
    assert "goes on" in ok(waiting, "resume", root["id"])
    assert "stopped" in ok(waiting, "stop", "devops")
    assert "stopped" in ok(waiting, "stop", "all")
    assert "goes on" in ok(waiting, "resume", "all")
    refused(here(waiting, "retry", root["id"]), 1, "not over yet")
    assert "Stopping" in ok(waiting, "cancel", root["id"])
    ok(waiting, "run", by=signoff)
    assert {task["outcome"] for task in rows(waiting, "tasks")} == {"cancelled"}
    assert rows(waiting, "inbox") == []


def test_work_given_while_nothing_runs_starts_later(workspace):
    accepted = ok(workspace, "say", "how is the landing page doing?", "--to", "devops")
    found = re.fullmatch(r"accepted as (t-\w{4}); it starts when signoff is up\n", accepted)
    assert found
    (task,) = rows(workspace, "tasks")
    assert (task["state"], task["role"], task["id"][:6]) == ("ready", "devops", found[1])
    refused(here(workspace, "say", "hello", "--to", "nobody"), 1, "There is no role nobody")
    refused(here(workspace, "say", "-", typed="x" * 300_000), 1, "over 256 KB")
    done = here(workspace, "say", "hello", "--wait")
    refused(done, 1, "signoff run")
    assert "accepted as t-" in done.stdout


def test_the_single_operator_presses_twice_at_a_terminal(waiting):
    (inquiry,) = rows(waiting, "inbox")
    for pressed, said in (("n", "not approved"), ("a", "Approved.")):
        words = ["-m", "bots", "approve", inquiry["id"]]
        terminal = pexpect.spawn(sys.executable, words, cwd=str(waiting), env=environment(), timeout=10)
        terminal.expect("landing")
        terminal.expect("press a again to approve as single operator: ")
        terminal.sendline(pressed)
        terminal.expect(said)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == (0 if pressed == "a" else 1)
    assert rows(waiting, "inbox") == []


# --- With an engine -------------------------------------------------------------------------------------------------


def test_decisions_reach_a_running_engine(waiting, tmp_path):
    (inquiry,) = rows(waiting, "inbox")
    with running(waiting) as engine:
        refused(signoff(waiting, "run"), 3, "already running", str(engine.pid))
        refused(here(waiting, "restore", str(waiting / "deploy.sh")), 3, "already running")
        assert ok(waiting, "approve", inquiry["id"], by=signoff).endswith("Approved.\n")
        assert "is live since" in tells(engine, "is live since")
        assert ok(waiting, "say", DEPLOY, "--wait").count("asks to run deploy") == 1
        assert "engine: signoff is already running here" in here(waiting, "doctor").stdout
        assert "backed up" in here(waiting, "backup", str(tmp_path / "kept.db")).stdout
        began = time.monotonic()
        engine.send_signal(signal.SIGTERM)
        assert engine.wait(5) == 0
        assert time.monotonic() - began < 3  # the promise is 2; the machine may be busy
    assert len((waiting / "deployed.log").read_text().splitlines()) == 1
    assert len(rows(waiting, "inbox")) == 1


def test_whoever_waits_hears_how_it_ended_or_why_it_does_not(workspace):
    with running(workspace):
        told = ok(workspace, "say", "how is the landing page doing?", "--to", "devops", "--wait")
        accepted, _, answer = told.partition("\n")
        assert re.fullmatch(r"accepted as t-\w{4}", accepted)
        assert "DevOps" in answer
        ok(workspace, "stop", "devops")
        stopped = ok(workspace, "say", "and now?", "--to", "devops", "--wait")
        assert re.search(r"^(t-\w{4}) is stopped; `signoff resume \1` lets it go on$", stopped, re.MULTILINE)


def test_the_input_ends_the_run_and_ctrl_c_interrupts_it(workspace):
    with running(workspace) as engine:
        engine.stdin.close()
        assert engine.wait(5) == 0
    with running(workspace) as engine:
        engine.send_signal(signal.SIGINT)
        assert engine.wait(5) == 130
        assert engine.stderr.read() == ""


# --- Refusals -------------------------------------------------------------------------------------------------------

DECIDING = (
    *(["approve", "i-1"], ["deny", "i-1", "--reason", "x"], ["answer", "i-1", "x"], ["edit", "i-1", "{}"]),
    *(["askback", "i-1", "x"], ["dismiss", "i-1"], ["withdraw", "i-1"], ["happened", "i-1"], ["rerun", "i-1"]),
    *(["giveup", "i-1"], ["cancel", "t-1"], ["retry", "t-1"], ["stop", "all"], ["resume", "all"]),
    *(["say", "x"], ["run"], ["restore", "deploy.sh"], ["setup", "telegram"], ["setup", "slack", "--check"]),
    *(["people", "link", "you"], ["people", "unlink", "slack:U01"]),
)


def test_agents_do_not_decide(workspace):
    refused(signoff(workspace, "approve", "i-1", SIGNOFF_ATTEMPT="t-1:1:e0"), 4, "agents do not decide")
    for words in DECIDING:
        refused(here(workspace, *words, SIGNOFF_ATTEMPT="t-1:1:e0"), 4, "agents do not decide")
    assert not (workspace / ".signoff").exists()


def test_what_is_not_there_is_named(asked):
    refused(here(asked, "approve", "i-zzzz"), 1, "there is no inquiry i-zzzz", "signoff inbox")
    refused(here(asked, "task", "zzzz"), 1, "there is no task zzzz", "signoff tasks")
    refused(here(asked, "task", "t-"), 1, "could be t-", "more of the id")
    refused(here(asked, "approve", "i-1", "--as", "eve"), 4, "there is no person eve", "you")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["frobnicate"],
        ["deny", "i-1"],
        ["say", " "],
        ["edit", "i-1", "not json"],
        ["edit", "i-1", "[1]"],
        ["audit", "verify", "--head", "x"],
    ],
)
def test_wrong_usage_is_one_line(workspace, words):
    refused(here(workspace, *words), 2)
    assert not (workspace / ".signoff").exists()


def test_somebody_who_may_not_decide_is_told_so(waiting):
    manifest = waiting / "agents" / "team.yaml"
    text = manifest.read_text()
    one = "  - {id: you, name: You, role: owner}\n"
    manifest.write_text(text.replace(one, f"{one}  - {{id: bo, name: Bo, role: member}}\n"))
    (inquiry,) = rows(waiting, "inbox")
    refused(here(waiting, "approve", inquiry["id"], "--as", "bo"), 1, "may not")
    assert rows(waiting, "inbox") == [inquiry]


def test_a_folder_without_a_team_says_how_to_make_one(tmp_path):
    refused(here(tmp_path, "tasks"), 5, "signoff init")


def test_a_wrong_team_is_named_with_its_line(workspace):
    manifest = workspace / "agents" / "team.yaml"
    manifest.write_text(manifest.read_text().replace("version: 1", "version: 1\nsurprise: 1", 1))
    found = here(workspace, "check")
    assert found.returncode == 5
    assert re.search(r"agents/team\.yaml:\d+: .*surprise", found.stdout)
    refused(signoff(workspace, "run"), 5, "surprise")


def test_check_finds_nothing_in_a_fresh_workspace(fresh):
    assert here(fresh, "check").stdout.endswith("the team's definition is right\n")


def test_a_newer_database_is_left_alone(waiting):
    with closing(sqlite3.connect(waiting / ".signoff" / "signoff.db")) as database:
        database.execute("PRAGMA user_version = 99")
    for words in (["tasks"], ["run"]):
        refused(here(waiting, *words), 5, "newer release")
    sick = here(waiting, "doctor")
    assert sick.returncode == 1
    assert "--  database: schema 99 is of a newer release" in sick.stdout


def test_a_damaged_database_is_refused(waiting):
    for path in (waiting / ".signoff").glob("signoff.db*"):
        path.unlink()
    (waiting / ".signoff" / "signoff.db").write_bytes(b"this is no database" * 1000)
    refused(here(waiting, "tasks"), 5, "damaged", "backup")


def test_a_workspace_that_cannot_be_written_says_so(workspace):
    (workspace / ".signoff").write_text("in the way")
    refused(here(workspace, "run"), 5, "cannot be written")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_workspace_says_so(workspace):
    workspace.chmod(0o500)
    try:
        refused(signoff(workspace, "run"), 5, "cannot be written")
    finally:
        workspace.chmod(0o700)


@pytest.mark.parametrize("logged", [True, False])
def test_a_bug_is_one_line_and_its_trace_is_in_the_log(workspace, logged):
    if logged:
        (workspace / ".signoff" / "logs").mkdir(parents=True)
    program = (
        "from bots import cli; from bots.commands import looking; looking.look = lambda parsed: 1 // 0; "
        "raise SystemExit(cli.main(['tasks']))"
    )
    words = [sys.executable, "-c", program]
    broken = subprocess.run(words, cwd=workspace, env=environment(), capture_output=True, text=True)
    refused(broken, 70, "ZeroDivisionError", "signoff.jsonl" if logged else "no log")
    if logged:
        assert "Traceback" in here(workspace, "logs", "-n", "1").stdout


def test_a_closed_pipe_is_no_error(asked):
    process = subprocess.Popen(
        [sys.executable, "-m", "bots", "audit", "export"],
        cwd=asked,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(10) == 141


# --- Keeping --------------------------------------------------------------------------------------------------------


def test_init_keeps_secrets_to_oneself_and_overwrites_nothing(fresh):
    assert (fresh / ".env").stat().st_mode & 0o777 == 0o600
    refused(here(fresh, "init", "."), 1, "already there")


def test_init_asks_for_a_key_at_a_terminal(tmp_path):
    words = ["-m", "bots", "init", "ws", "--team", "twelve"]
    terminal = pexpect.spawn(sys.executable, words, cwd=str(tmp_path), env=environment(), timeout=10)
    terminal.expect("ANTHROPIC_API_KEY")
    terminal.sendline("sk-test-1234")
    terminal.expect("signoff run")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert b"sk-test" not in (terminal.before or b"")
    assert "ANTHROPIC_API_KEY=sk-test-1234\n" in (tmp_path / "ws" / ".env").read_text()
    well = here(tmp_path, "doctor", "--workspace", "ws").stdout
    assert "ANTHROPIC_API_KEY is set" in well
    assert "sk-test" not in well


def test_doctor_sees_what_is_wrong(waiting):
    assert {text[:2] for text in here(waiting, "doctor").stdout.splitlines()} == {"ok"}
    (waiting / ".env").chmod(0o644)
    sick = here(waiting, "doctor")
    assert (sick.returncode, sick.stderr) == (1, "")
    assert "--  .env: mode 644" in sick.stdout


def test_a_backup_brings_everything_back(waiting, tmp_path):
    kept, before = tmp_path / "kept.db", rows(waiting, "tasks")
    assert "backed up" in here(waiting, "backup", str(kept)).stdout
    refused(here(waiting, "backup", str(kept)), 1, "already there")
    ok(waiting, "cancel", before[0]["id"])
    assert "replaced" in here(waiting, "restore", str(kept)).stdout
    assert rows(waiting, "tasks") == before
    assert (waiting / ".signoff" / "signoff.db.replaced").is_file()
    refused(here(waiting, "restore", str(waiting / "deploy.sh")), 1, "is no backup")
    refused(here(waiting, "restore", "nothing.db"), 1, "there is no file")
    with closing(sqlite3.connect(kept)) as database:
        database.execute("PRAGMA user_version = 99")
    refused(here(waiting, "restore", str(kept)), 1, "schema 99")


def test_logs_follow(waiting):
    log = waiting / ".signoff" / "logs" / "signoff.jsonl"
    log.write_text(
        '{"event":"loop.broke","level":"error","timestamp":"2026-01-02T03:04:05Z","loop":"outbox"}\nnot ours\n'
    )
    assert here(waiting, "logs").stdout == "2026-01-02T03:04:05Z error loop.broke loop=outbox\nnot ours\n"
    words = [sys.executable, "-m", "bots", "logs", "-f", "-n", "1"]
    with subprocess.Popen(words, cwd=waiting, env=environment(), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "not ours\n"
        with log.open("a") as file:
            file.write('{"event":"later"}\n')
        assert "later" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130


def test_the_audit_chain_shows_what_was_done_to_it(waiting):
    whole = ok(waiting, "audit", "verify")
    head = re.search(r"^head (\d+):(\w+)$", whole, re.MULTILINE)
    assert head
    last = int(head[1])
    lines = [json.loads(text) for text in ok(waiting, "audit", "export").splitlines()]
    exported = [one for one in lines if "action" not in one]
    assert [row["seq"] for row in exported] == list(range(1, last + 1))
    assert exported[-1]["hash"] == head[2]
    noted = ("--head", f"{last}:{head[2]}")
    assert "whole" in ok(waiting, "audit", "verify", *noted)

    path, whole_file = waiting / ".signoff" / "signoff.db", waiting / "whole.db"
    assert here(waiting, "backup", str(whole_file)).returncode == 0
    for statement, said, words in (
        ("UPDATE audit SET body = CAST(replace(body, 'inquiry.', 'enquiry.') AS BLOB)", "was changed", ()),
        ("UPDATE audit SET body = CAST('{' AS BLOB) WHERE seq = 2", "cannot be read", ()),
        ("DELETE FROM audit WHERE seq = 2", "row 2 is missing", ()),
        ("UPDATE audit SET seq = 99 - seq WHERE seq IN (2, 3)", "row 2 is missing", ()),
        (
            "UPDATE audit SET body = (SELECT b.body FROM audit AS b WHERE b.seq = 5 - audit.seq) WHERE seq IN (2, 3)",
            "row 2 was changed or moved",
            (),
        ),
        ("UPDATE audit SET hash = hex(randomblob(32)), previous = hex(randomblob(32))", "row 1 was changed", ()),
        (f"DELETE FROM audit WHERE seq = {last}", "before", noted),
    ):
        shutil.copy(whole_file, path)
        with closing(sqlite3.connect(path)) as database, database:
            assert database.execute(statement).rowcount > 0
        refused(here(waiting, "audit", "verify", *words), 1, said)
    assert "whole" in ok(waiting, "audit", "verify")  # a cut tail shows only against a head noted before


def test_who_a_command_speaks_for():
    users = place.os_user()
    bo, ana, me = (Person(id=i, name=i, role=r) for i, r in (("bo", "member"), ("ana", "owner"), (users, "member")))

    def speaks(*people, named=None):
        return place.person_of(Namespace(person=named), msgspec.structs.replace(small.team(), people=people)).id

    assert speaks(bo) == "bo"
    assert speaks(bo, ana) == "ana"
    assert speaks(bo, ana, me) == users
    assert speaks(bo, ana, named="bo") == "bo"
    with pytest.raises(DeniedError):
        speaks(bo, Person(id="cy", name="Cy", role="approver"))
