"""The command supervisor and its spool, with real processes and real kills."""

import asyncio
import contextlib
import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from agents.tools import spool as spool_module
from agents.tools import supervisor
from agents.tools.spool import (
    Alive,
    AttemptLostError,
    Command,
    Exited,
    Limits,
    NotStarted,
    Spool,
    Unknown,
    executable_digest,
    inside_a_run,
)

ROOT = Path(__file__).parents[2]
SUPERVISE = (sys.executable, *supervisor.FLAGS, supervisor.__file__)
SHELL = "/bin/sh"
ENV = {"PATH": "/usr/bin:/bin"}
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs a child subreaper, PR_SET_PDEATHSIG or /proc")


@pytest.fixture
def spool(tmp_path):
    yield (made := Spool(tmp_path / "workspace" / "spool"))
    for pid in list(made._supervisors):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 4
    while made._supervisors and time.monotonic() < deadline:
        made._reap()
        time.sleep(0.005)


def command(*argv, **fields):
    given = {"cwd": "/", "env": ENV, "seconds_max": 15, "output_bytes_max": 10_000}
    return Command(argv=argv, executable_digest=executable_digest(argv[0]), **(given | fields))


def shell(script, **fields):
    return command(SHELL, "-c", script, **fields)


def supervise(directory):
    return subprocess.run([*SUPERVISE, directory], timeout=10).returncode


async def quickly(seconds):
    await asyncio.sleep(min(seconds, 0.005))


async def run(spool, asked, attempt="t1:2:3"):
    await spool.start(attempt, asked)
    return await spool.wait(attempt, quickly)


async def until(true, seconds=5):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.005)


def dead(pid):
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def started(spool, attempt):
    return json.loads((spool._root / attempt / "started").read_bytes())


def everything_on_disk(spool):
    return b"".join(path.read_bytes() for path in spool._root.rglob("*") if path.is_file())


def request(spool, attempt, asked):
    """What an engine leaves behind that is killed just before it starts the supervisor."""
    directory = spool._root / attempt
    directory.mkdir(mode=0o700, parents=True)
    fields = {name: getattr(asked, name) for name in asked.__dataclass_fields__} | {"limits": asked.limits.by_name()}
    (directory / "request.json").write_text(json.dumps(fields))
    return directory


# --- how it ends


@pytest.mark.parametrize(
    ("script", "code", "number"), [("exit 0", 0, None), ("exit 7", 7, None), ("kill -9 $$", None, 9)]
)
async def test_the_end_is_recorded(spool, script, code, number):
    ended = await run(spool, shell(script))
    assert (ended.reason, ended.code, ended.signal, ended.truncated) == ("exited", code, number, False)
    assert 0 < ended.seconds < 5
    assert spool.look("t1:2:3") == Exited(ended)


async def test_the_default_poll_waits_too(spool):
    await spool.start("a", command("/bin/true"))
    assert (await spool.wait("a")).code == 0


async def test_both_streams_are_kept_in_order(spool):
    ended = await run(spool, shell("echo one; echo two >&2; echo three"))
    assert spool.output("t1:2:3") == "one\ntwo\nthree\n"
    assert ended.bytes_total == 14


async def test_bytes_and_controls_are_made_visible(spool):
    ended = await run(spool, shell(r"printf 'a\000\033[31m\377\r\nb\tc\r\342\200\256x'"))
    assert spool.output("t1:2:3") == "a\\x00\\x1b[31m�\nb\tc\\x0d\\u202ex"
    assert ended.bytes_total == 18


async def test_fifty_megabytes_are_bounded(spool):
    ended = await run(spool, shell("echo first; head -c 50000000 /dev/zero | tr '\\000' x; echo; echo last"))
    kept = spool.output("t1:2:3")
    assert ended.code == 0
    assert ended.truncated
    assert ended.bytes_total == 50_000_012
    assert len(kept) < 10_100
    assert kept.startswith("first\nxxx")
    assert kept.endswith("xxx\nlast\n")
    assert f"\n[... {50_000_012 - 10_000} bytes left out ...]\n" in kept


@pytest.mark.parametrize("size", [1, 2, 9, 10, 11, 400_000])
@pytest.mark.parametrize("bytes_max", [1, 10, 11])
def test_first_and_last_half_are_kept(tmp_path, size, bytes_max):
    data = bytes(97 + n % 26 for n in range(size))
    output = supervisor.Output(str(tmp_path / "output"), bytes_max)
    for begin in range(0, size, 7):
        output.add(data[begin : begin + 7])
    truncated = output.close()
    kept = (tmp_path / "output").read_bytes()
    assert truncated == (size > bytes_max)
    if truncated:
        head, tail = (bytes_max + 1) // 2, bytes_max // 2
        mark = f"\n[... {size - bytes_max} bytes left out ...]\n".encode()
        assert kept == data[:head] + mark + data[size - tail :]
    else:
        assert kept == data


@LINUX
def test_a_full_disk_loses_output_only():
    output = supervisor.Output("/dev/full", 100)
    output.add(b"lost")
    assert output.close()
    assert output.bytes_total == 4


async def test_timeout_ends_the_whole_group(spool, tmp_path):
    before = time.monotonic()
    ended = await run(spool, shell("sleep 60 & echo $! > pid; wait", cwd=str(tmp_path), seconds_max=0.4))
    assert (ended.reason, ended.code, ended.signal) == ("timeout", None, signal.SIGTERM)
    assert time.monotonic() - before < 2.4  # it did not take the grace
    assert dead(int((tmp_path / "pid").read_text()))


async def test_timeout_kills_what_ignores_sigterm(spool):
    ended = await run(spool, shell("trap '' TERM; while :; do sleep 0.1; done", seconds_max=0.1))
    assert (ended.reason, ended.signal) == ("timeout", signal.SIGKILL)
    assert 2 < ended.seconds < 4


async def test_cancel(spool):
    await spool.start("a", shell("echo up; sleep 60"))
    await until(lambda: spool.output("a") == "up\n")
    assert spool.look("a") == Alive()
    await spool.cancel("a")
    ended = await spool.wait("a", quickly)
    assert (ended.reason, ended.signal) == ("cancelled", signal.SIGTERM)


async def test_sigterm_to_the_supervisor_is_a_cancel(spool):
    await spool.start("a", shell("echo up; sleep 60"))
    await until(lambda: spool.output("a") == "up\n")
    os.kill(started(spool, "a")["supervisor"]["pid"], signal.SIGTERM)
    assert (await spool.wait("a", quickly)).reason == "cancelled"


async def test_cancel_before_the_start_means_it_never_runs(spool, tmp_path):
    await spool.cancel("a")
    ended = await run(spool, shell("echo ran > ran", cwd=str(tmp_path)), "a")
    assert (ended.reason, ended.code, ended.signal) == ("cancelled", None, None)
    assert not (tmp_path / "ran").exists()


# --- what it is started with


async def test_the_environment_is_exactly_as_given(spool, monkeypatch):
    monkeypatch.setenv("ENGINE_SECRET", "leaked")
    await run(spool, command("/usr/bin/env", env={"KEY": "se cret\n=", "ÄÖ": "ü"}))
    assert sorted(spool.output("t1:2:3").splitlines()) == sorted(["KEY=se cret", "=", "SIGNOFF_ATTEMPT=t1:2:3", "ÄÖ=ü"])


@LINUX
async def test_no_descriptor_of_ours_is_passed_on(spool):
    fd = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(fd, True)
    await run(spool, shell("readlink /proc/$$/fd/*; ls /proc/$$/fd"))
    os.close(fd)
    assert spool.output("t1:2:3").split()[0] == "/dev/null"
    assert spool.output("t1:2:3").split()[3:] == ["0", "1", "2"]


async def test_signals_and_limits(spool):
    ended = await run(spool, shell("ulimit -n; kill -PIPE $$", limits=Limits(files_open_max=77)))
    assert (ended.signal, spool.output("t1:2:3")) == (signal.SIGPIPE, "77\n")


async def test_no_secret_stays(spool):
    secret = "sk-live-1234"
    await spool.start("a", shell("echo up; sleep 60", env=ENV | {"KEY": secret}))
    await until(lambda: spool.output("a") == "up\n")
    assert secret.encode() not in everything_on_disk(spool)
    process = psutil.Process(started(spool, "a")["supervisor"]["pid"])
    assert secret not in " ".join(process.cmdline())
    assert secret not in repr(process.environ())
    await spool.cancel("a")
    await spool.wait("a", quickly)
    assert secret.encode() not in everything_on_disk(spool)
    assert secret not in repr(shell(":", env={"KEY": secret}))


async def test_only_the_owner_can_read_it(spool):
    await run(spool, shell("echo private"))
    for path in (spool._root, *spool._root.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


async def test_a_changed_executable_is_refused(spool, tmp_path):
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho approved\n")
    tool.chmod(0o700)
    asked = command(str(tool))
    tool.write_text("#!/bin/sh\necho evil > ran\n")
    ended = await run(spool, asked)
    assert (ended.reason, ended.message, ended.code) == ("refused", "executable changed", None)
    tool.unlink()
    ended = await run(spool, asked, "b")
    assert (ended.reason, ended.message) == ("refused", "executable unreadable: No such file or directory")


async def test_failing_to_start_says_why(spool, tmp_path):
    ended = await run(spool, shell(":", cwd=str(tmp_path / "missing")), "a")
    assert ended.reason == "failed_to_start"
    assert "missing" in ended.message
    (tmp_path / "data").write_text("no program")
    ended = await run(spool, command(str(tmp_path / "data")), "b")
    assert (ended.reason, ended.code, ended.signal) == ("failed_to_start", None, None)
    assert "Permission denied" in ended.message


@pytest.mark.parametrize(
    "wrong",
    [
        {"argv": ()},
        {"argv": ("true",)},
        {"cwd": "here"},
        {"argv": ("/bin/true", "a\0b")},
        {"env": {"A=B": "c"}},
        {"env": {"": "c"}},
        {"executable_digest": "md5:1"},
        {"seconds_max": 0},
        {"seconds_max": float("inf")},
        {"output_bytes_max": 0},
    ],
)
def test_a_command_that_cannot_run_as_meant_is_not_made(wrong):
    right = {name: getattr(command("/bin/true"), name) for name in Command.__dataclass_fields__}
    with pytest.raises(ValueError, match=r"absolute|NUL|sha256|finite"):
        Command(**(right | wrong))


@pytest.mark.parametrize("attempt", ["", ".", "..", "a/b", "-a", ".swept-a", "a\n", "a" * 201])
def test_an_attempt_id_is_a_file_name(spool, attempt):
    with pytest.raises(ValueError, match="not an attempt id"):
        spool.look(attempt)


# --- at most once


async def test_many_starts_run_it_once(spool, tmp_path):
    asked = shell("echo ran >> ran; sleep 0.05", cwd=str(tmp_path))
    async with asyncio.TaskGroup() as group:
        for one in (spool, Spool(spool._root), spool, Spool(spool._root)):
            group.create_task(one.start("a", asked))
    await spool.start("a", asked)
    await spool.wait("a", quickly)
    await spool.start("a", asked)
    (spool._root / "a" / "request.json").write_text("{}")
    assert supervise(spool._root / "a") == 0
    assert lines(tmp_path / "ran") == ["ran"]


async def test_a_second_supervisor_does_nothing_while_the_first_lives(spool):
    await spool.start("a", shell("sleep 60"))
    assert supervise(spool._root / "a") == os.EX_TEMPFAIL
    assert spool.look("a") == Alive()


async def test_a_supervisor_nobody_handed_a_lock_takes_it_itself(spool, tmp_path):
    directory = request(spool, "a", shell("echo ran >> ran", cwd=str(tmp_path)))
    assert supervise(directory) == 0
    assert spool.look("a").exit.code == 0
    assert lines(tmp_path / "ran") == ["ran"]


@pytest.mark.parametrize("requested", [True, False])
async def test_void_is_for_ever(spool, tmp_path, requested):
    asked = shell("echo ran >> ran", cwd=str(tmp_path), env=ENV | {"KEY": "sk-secret"})
    if requested:
        request(spool, "a", asked)
    assert spool.look("a") == NotStarted()
    assert b"sk-secret" not in everything_on_disk(spool)
    if not requested:
        (spool._root / "a" / "request.json").write_text("{}")
    assert supervise(spool._root / "a") == 0
    await spool.start("a", asked)
    with pytest.raises(AttemptLostError, match="never started") as lost:
        await spool.wait("a", quickly)
    assert lost.value.look == NotStarted()
    assert not (tmp_path / "ran").exists()


async def test_a_start_that_fails_leaves_no_secret(spool, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(FileNotFoundError):
        await spool.start("a", shell(":", env={"KEY": "sk-secret"}))
    assert b"sk-secret" not in everything_on_disk(spool)
    assert spool.look("a") == NotStarted()


# --- kills


async def test_a_killed_engine_loses_nothing(spool, tmp_path):
    engine = """
import asyncio, os, pathlib, signal, sys
from agents.tools.spool import Command, Spool, executable_digest
command = Command(argv=("/bin/sh", "-c", "sleep 0.2; echo ran >> ran; exit 5"), cwd=sys.argv[2],
    env={"PATH": "/usr/bin:/bin"}, executable_digest=executable_digest("/bin/sh"), seconds_max=9, output_bytes_max=9)
asyncio.run(Spool(pathlib.Path(sys.argv[1])).start("a", command))
os.killpg(0, signal.SIGKILL)
"""
    argv = (sys.executable, "-c", engine, spool._root, tmp_path)
    killed = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, start_new_session=True)
    assert await killed.wait() == -signal.SIGKILL
    assert spool.look("a") == Alive()
    assert (await spool.wait("a", quickly)).code == 5
    assert lines(tmp_path / "ran") == ["ran"]


@LINUX
async def test_a_killed_supervisor_leaves_an_unknown_and_nothing_alive(spool, tmp_path):
    await spool.start("a", shell("setsid sleep 60 & echo $! > pid; echo up; sleep 60", cwd=str(tmp_path)))
    await until(lambda: spool.output("a") == "up\n")
    pids = started(spool, "a")
    os.kill(pids["supervisor"]["pid"], signal.SIGKILL)
    await until(lambda: dead(pids["command"]["pid"]), 1)  # by itself: nobody has looked yet
    with pytest.raises(AttemptLostError, match="no recorded outcome") as lost:
        await spool.wait("a", quickly)
    assert lost.value.look == Unknown()
    await until(lambda: dead(int((tmp_path / "pid").read_text())), 1)
    await spool.start("a", shell("echo again >> ran", cwd=str(tmp_path)))
    assert spool.look("a") == Unknown()
    assert not (tmp_path / "ran").exists()


def test_what_was_started_is_never_started_again_nor_given_an_outcome(spool, tmp_path):
    directory = request(spool, "a", shell("echo ran > ran", cwd=str(tmp_path)))
    (directory / "started").touch()
    assert supervise(directory) == 0
    assert spool.look("a") == Unknown()
    assert not (tmp_path / "ran").exists()


@LINUX
@pytest.mark.parametrize("leader", [True, False])
def test_only_the_same_process_is_killed_by_its_recorded_pid(spool, leader):
    directory = request(spool, "a", shell(":"))
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as stranger:
        start = supervisor.process_start(stranger.pid) if leader else "1"
        (directory / "started").write_text(json.dumps({"command": {"pid": stranger.pid, "start": start}}))
        assert spool.look("a") == Unknown()
        time.sleep(0.02)
        assert (stranger.poll() is not None) == leader
        stranger.kill()


@pytest.mark.proof
@pytest.mark.timeout(30)
async def test_kills_at_any_moment_never_lie(spool, tmp_path):
    asked = shell("echo $SIGNOFF_ATTEMPT >> ran", cwd=str(tmp_path))
    seen = set()
    for n in range(30):
        attempt = f"k{n}"
        before = set(spool._supervisors)
        await spool.start(attempt, asked)
        (pid,) = spool._supervisors - before
        await asyncio.sleep(n * 0.0015)
        os.kill(pid, signal.SIGKILL)
        await until(lambda attempt=attempt: spool.look(attempt) != Alive())
        runs = lines(tmp_path / "ran").count(attempt)
        match spool.look(attempt):
            case NotStarted():
                assert runs == 0
            case Exited(ended):
                assert (ended.code, runs) == (0, 1)
            case Unknown():
                assert runs <= 1
        seen.add(type(spool.look(attempt)))
    assert NotStarted in seen


async def test_a_record_that_is_not_ours_is_no_outcome(spool):
    directory = request(spool, "a", shell(":"))
    (directory / "started").touch()
    for text in ("", "[]", "{}", '{"v": 2}', '{"v": 1, "reason": "exited"}'):
        (directory / "exit.json").write_text(text)
        assert spool.look("a") == Unknown()


async def test_liveness_is_the_lock(spool):
    directory = request(spool, "a", shell(":"))
    with (directory / "lock").open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert spool.look("a") == Alive()
        await spool.start("a", shell("exit 3"))
    assert spool.look("a") == NotStarted()


# --- descendants


@LINUX
async def test_descendants_know_it_and_do_not_outlive_it(spool, tmp_path):
    deep = f"""
import os, sys, time
sys.path.insert(0, {str(ROOT)!r})
for _ in range(2):
    if os.fork():
        os._exit(0)
    os.setsid()
if "SIGNOFF_ATTEMPT" in os.environ:
    os.execve(sys.executable, [sys.executable, *sys.argv], {{}})
from agents.tools.spool import inside_a_run
with open("found.new", "w") as file:
    file.write(f"{{inside_a_run()}} {{os.getpid()}} {{'SIGNOFF_ATTEMPT' in os.environ}}")
os.rename("found.new", "found")
time.sleep(60)
"""
    (tmp_path / "deep.py").write_text(deep)
    script = f"{shlex.quote(sys.executable)} deep.py; until test -e found; do sleep 0.01; done"
    ended = await run(spool, shell(script, cwd=str(tmp_path)))
    assert (ended.code, spool.output("t1:2:3")) == (0, "")
    inside, pid, marked = (tmp_path / "found").read_text().split()
    assert (inside, marked) == ("True", "False")
    assert dead(int(pid))


async def test_a_leftover_that_holds_the_pipe_does_not_hold_up_the_end(spool, tmp_path):
    ended = await run(spool, shell("sleep 60 & echo $! > pid; echo done", cwd=str(tmp_path)))
    assert (ended.code, spool.output("t1:2:3")) == (0, "done\n")
    assert ended.seconds < 5
    assert dead(int((tmp_path / "pid").read_text()))


def test_inside_a_run(monkeypatch):
    monkeypatch.delenv("SIGNOFF_ATTEMPT", raising=False)
    outside = inside_a_run()
    monkeypatch.setenv("SIGNOFF_ATTEMPT", "")
    assert inside_a_run()
    assert not outside or "agents/tools/supervisor.py" in "".join(str(p.cmdline()) for p in psutil.Process().parents())


@pytest.mark.parametrize(
    ("parents", "inside"),
    [
        ({1: (0, "init")}, False),
        ({1: (50, "sh"), 50: (0, "vim agents/tools/supervisor.py")}, False),
        ({1: (50, "sh"), 50: (0, "python -I -S -X utf8 /x y/agents/tools/supervisor.py /spool/a")}, True),
        ({}, True),
        ({1: (50, "sh")}, False),
    ],
    ids=["alone", "editor", "supervisor", "own record unreadable", "ancestor hidden"],
)
def test_the_walk(monkeypatch, parents, inside):
    monkeypatch.delenv("SIGNOFF_ATTEMPT", raising=False)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(spool_module, "_parent_and_line", lambda pid: parents[pid] if pid in parents else missing(pid))
    assert inside_a_run() == inside


def missing(pid):
    raise FileNotFoundError(pid)


def test_an_ancestor_that_vanishes_is_walked_again(monkeypatch):
    monkeypatch.delenv("SIGNOFF_ATTEMPT", raising=False)
    monkeypatch.setattr(os, "getpid", lambda: 1)
    above = iter(range(2, 1000))
    monkeypatch.setattr(spool_module, "_parent_and_line", lambda pid: (next(above), "sh") if pid == 1 else missing(pid))
    assert inside_a_run()


# --- sweeping


async def test_sweep_removes_what_ended_and_nothing_else(spool):
    await run(spool, shell(":"), "ended")
    await until(lambda: spool._reap() or not spool._supervisors)  # recorded, it still holds its lock for a moment
    spool.look("void")
    await spool.start("alive", shell("sleep 60"))
    (request(spool, "unknown", shell(":")) / "started").touch()
    (spool._root / ".swept-half").mkdir()
    now = datetime.now(UTC)
    assert await spool.sweep(now - timedelta(hours=1)) == 0
    assert await spool.sweep(now + timedelta(hours=1)) == 2
    assert sorted(path.name for path in spool._root.iterdir()) == ["alive", "unknown"]
    assert spool.look("unknown") == Unknown()
    assert await Spool(spool._root / "none").sweep(now) == 0
