"""The watch over a command's processes, and the runner's parts, looked at in this process."""

import hashlib
import os
import resource
import signal
import subprocess
import sys

import pytest

from agents.tools import confines, runner
from agents.tools.confines import MEMORY, PROCESSES, Watch, descendants, limit_self, stdin_of


@pytest.fixture
def child():
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_descendants_are_found(child):
    assert child.pid in descendants()


def test_nothing_is_bounded_by_nothing(child):
    told = []
    assert Watch({}).over(told.append) == ""
    assert Watch({"processes_max": 1000, "memory_bytes_max": 1 << 40}).over(told.append) == ""
    assert told == []


def test_too_many_or_too_much_is_said_and_not_asked_for_all_the_time(child):
    count = len(descendants())
    assert Watch({"processes_max": count - 1} if count > 1 else {"memory_bytes_max": 1}).over(print)
    watch = Watch({"memory_bytes_max": 1})
    assert watch.over(print) == MEMORY
    assert watch.over(print) == ""  # it has just looked


def test_a_crowd_is_stopped_while_it_is_counted(child, monkeypatch):
    told = []
    watch = Watch({"processes_max": 1000})
    assert watch.over(told.append) == ""
    there = confines._processes_around()
    monkeypatch.setattr(confines, "_processes_around", lambda: there + 5000)
    assert watch.over(told.append) == ""
    assert told == [signal.SIGSTOP, signal.SIGCONT]
    assert watch.over(told.append) == ""
    assert len(told) == 2  # others' processes are not counted twice
    monkeypatch.setattr(confines, "descendants", lambda: list(range(2000)))
    monkeypatch.setattr(confines, "_processes_around", lambda: there + 9000)
    assert watch.over(told.append) == PROCESSES
    assert told[2:] == [signal.SIGSTOP]  # what is to be killed stays stopped


def test_where_there_is_no_proc_nothing_is_watched(monkeypatch):
    monkeypatch.setattr(confines, "_LINUX", False)
    assert descendants() == []
    assert confines._processes_around() == 0


def test_a_process_that_is_gone_has_nothing():
    assert confines._own_bytes(2**22 + 1) == 0
    assert confines._own_bytes(os.getpid()) > 1 << 20


def test_limits_are_never_raised(monkeypatch):
    calls = {}
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (5, 50))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, pair: calls.update({kind: pair}))
    limit_self({"RLIMIT_CPU": 10, "RLIMIT_AS": 100, "RLIMIT_CORE": 0})
    assert calls == {resource.RLIMIT_CPU: (10, 12), resource.RLIMIT_AS: (50, 50), resource.RLIMIT_CORE: (0, 0)}
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (5, resource.RLIM_INFINITY))
    limit_self({"RLIMIT_AS": 100})
    assert calls[resource.RLIMIT_AS] == (100, 100)


@pytest.mark.parametrize("text", ["", "x", "ä" * 200_000])
def test_what_is_to_be_read_has_no_name(tmp_path, text):
    fd = stdin_of(text, str(tmp_path))
    with open(fd, encoding="utf-8") as file:  # noqa: PTH123 - it is a descriptor
        assert file.read() == text
    assert list(tmp_path.iterdir()) == []


SOURCE = b"""
def say(what: str) -> object:
    if what == "raise":
        raise ValueError("a\\nb")
    if what == "bare":
        raise KeyboardInterrupt
    return {"none": None, "text": "x", "list": [1, "\xc3\xa4"]}[what]
"""


def job(path, what):
    path.write_bytes(SOURCE)
    digest = "sha256:" + hashlib.sha256(SOURCE).hexdigest()
    return {"path": str(path), "digest": digest, "function": "say", "arguments": {"what": what}, "bytes_max": 100}


@pytest.mark.parametrize(("what", "said"), [("none", "done"), ("text", "x"), ("list", '[1, "ä"]')])
def test_what_is_returned_is_text(tmp_path, what, said, monkeypatch):
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    assert runner._called(job(tmp_path / "t_words.py", what)) == said


@pytest.mark.parametrize(
    ("what", "said"), [("raise", "ValueError: a (line 4)"), ("bare", "KeyboardInterrupt (line 6)")]
)
def test_what_is_raised_is_a_line(tmp_path, what, said, monkeypatch):
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    asked = job(tmp_path / "t_words.py", what)
    with pytest.raises(BaseException) as raised:  # noqa: PT011 - whatever it is
        runner._called(asked)
    assert runner._line(raised.value, asked["path"]) == said


def test_only_the_bytes_that_were_meant_are_run(tmp_path):
    asked = job(tmp_path / "t_words.py", "none") | {"digest": "sha256:" + "0" * 64}
    with pytest.raises(RuntimeError, match="not the one this task was started with"):
        runner._called(asked)
